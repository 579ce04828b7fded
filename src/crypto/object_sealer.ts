import { type Bytes, MiB } from "../domain/bytes.ts";
import { type KeyStep, newSalt, objectKey } from "./data_key.ts";
import { frameBytes, type FrameSeal, importKey, sealFrame, sealFrameInto } from "./frames.ts";
import { InOrder } from "./in_order.ts";
import { MAX_FRAME_BYTES, type SealHeader, writeSealHeader } from "./seal_format.ts";

/** Frames under way: WebCrypto seals on other threads. */
const AT_A_TIME = 3;
/** Whole objects are cut into frames of this size: fresh memory is what takes long in a new process. */
const FRAME_BYTES = MiB / 4;
/** Of those so many are under way. */
const SMALL_AT_A_TIME = 3;

/** What readers without a key shall know of an object. */
export type PublicPart = Pick<SealHeader, "tag" | "text">;

interface Begun extends FrameSeal {
  /** The header as it is stored. */
  readonly stored: Bytes;
}

/** Seals objects, each with a key of its own. What it is given never leaves it in the clear. */
export class ObjectSealer {
  readonly #take: () => Promise<KeyStep>;

  /** Takes the data key for each object from `take`. */
  constructor(take: () => Promise<KeyStep>) {
    this.#take = take;
  }

  /**
   * Seals a whole object.
   *
   * @param name its full key in the store, without the store's prefix: it opens under no other.
   */
  async seal(name: string, plain: Bytes, known: PublicPart = {}): Promise<Bytes> {
    const begun = await this.#begin(name, known);
    const parts = cut(plain);
    const frames = parts.reduce((bytes, part) => bytes + frameBytes(part.length), 0);
    // Written where it stays: a new process pays for each byte of memory that it touches.
    const stored = new Uint8Array(begun.stored.length + frames);
    stored.set(begun.stored);
    const underWay = new InOrder<void>(SMALL_AT_A_TIME, () => {});
    let at = begun.stored.length;
    for (const [index, part] of parts.entries()) {
      const into = stored.subarray(at, at += frameBytes(part.length));
      const last = index === parts.length - 1;
      await underWay.push(sealFrameInto(into, begun, { index, last, plain: part }));
    }
    await underWay.end();
    return stored;
  }

  /** Seals an object as it comes, a frame for each chunk. */
  stream(name: string): TransformStream<Bytes, Bytes> {
    let begun: Begun | undefined;
    let frames: InOrder<Bytes>;
    let held: Bytes | undefined;
    let index = 0;
    const push = (plain: Bytes, last: boolean) =>
      frames.push(sealFrame(begun!, { index: index++, last, plain }));
    return new TransformStream<Bytes, Bytes>({
      start: (controller) => {
        frames = new InOrder(AT_A_TIME, (frame) => controller.enqueue(frame));
      },
      transform: async (chunk, controller) => {
        begun ??= await this.#start(name, controller);
        for (let at = 0; at < chunk.length; at += MAX_FRAME_BYTES) {
          if (held) await push(held, false);
          held = chunk.subarray(at, at + MAX_FRAME_BYTES);
        }
      },
      flush: async (controller) => {
        begun ??= await this.#start(name, controller);
        await push(held ?? new Uint8Array(0), true);
        await frames.end();
      },
    });
  }

  async #start(
    name: string,
    controller: TransformStreamDefaultController<Bytes>,
  ): Promise<Begun> {
    const begun = await this.#begin(name, {});
    controller.enqueue(begun.stored);
    return begun;
  }

  async #begin(name: string, { tag, text }: PublicPart): Promise<Begun> {
    const { id, step, wrapped, secret } = await this.#take();
    const salt = newSalt();
    const { stored, digest } = writeSealHeader({
      ...{ keyId: id, step, salt, wrapped },
      ...(tag !== undefined && { tag }),
      ...(text !== undefined && { text }),
    });
    return { stored, digest, key: await importKey(objectKey(secret, { name, salt })) };
  }
}

/** No bytes make one empty part. */
function cut(plain: Bytes): readonly Bytes[] {
  const parts: Bytes[] = [];
  for (let at = 0; at < plain.length; at += FRAME_BYTES) {
    parts.push(plain.subarray(at, at + FRAME_BYTES));
  }
  return parts.length === 0 ? [plain] : parts;
}
