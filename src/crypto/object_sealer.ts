import type { Bytes } from "../domain/bytes.ts";
import { type KeyStep, newSalt, objectKey } from "./data_key.ts";
import {
  frameBytes,
  type FramePlace,
  type FrameSeal,
  importKey,
  placeFrame,
  sealFrame,
} from "./frames.ts";
import { HeldObject } from "./held_object.ts";
import { InOrder } from "./in_order.ts";
import { digestOf, MAX_FRAME_BYTES, type SealHeader, writeSealHeader } from "./seal_format.ts";

/** Frames under way: WebCrypto seals on other threads. */
const AT_A_TIME = 3;

/** What readers without a key shall know of an object. */
export type PublicPart = Pick<SealHeader, "text"> & {
  /** Whether its end brings a tag. */
  readonly tagged?: boolean;
};

interface Begun {
  readonly key: CryptoKey;
  /** The header as it is stored. */
  readonly header: Bytes;
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
  async seal(name: string, plain: Bytes): Promise<Bytes> {
    const held = await this.hold(name);
    let at = 0;
    for (; plain.length - at > MAX_FRAME_BYTES; at += MAX_FRAME_BYTES) {
      held.push(plain.subarray(at, at + MAX_FRAME_BYTES));
    }
    return await held.end({ last: plain.subarray(at) });
  }

  /** Seals an object while it is made, and holds it until it is whole. */
  async hold(name: string, known: PublicPart = {}): Promise<HeldObject> {
    const { tagged = false } = known;
    return new HeldObject({ ...await this.#begin(name, known), tagged });
  }

  /** Seals an object as it comes, a frame for each chunk. */
  stream(name: string): TransformStream<Bytes, Bytes> {
    let begun: Begun & { readonly digest: Bytes } | undefined;
    let frames: InOrder<Bytes>;
    let held: Bytes | undefined;
    let index = 0;
    const push = (plain: Bytes, last: boolean) =>
      frames.push(wholeFrame(begun!, { index: index++, last, plain }));
    const begin = async (controller: TransformStreamDefaultController<Bytes>) => {
      const { key, header } = await this.#begin(name, {});
      controller.enqueue(header);
      return { key, header, digest: digestOf(header) };
    };
    return new TransformStream<Bytes, Bytes>({
      start: (controller) => {
        frames = new InOrder(AT_A_TIME, (frame) => controller.enqueue(frame));
      },
      transform: async (chunk, controller) => {
        begun ??= await begin(controller);
        for (let at = 0; at < chunk.length; at += MAX_FRAME_BYTES) {
          if (held) await push(held, false);
          held = chunk.subarray(at, at + MAX_FRAME_BYTES);
        }
      },
      flush: async (controller) => {
        begun ??= await begin(controller);
        await push(held ?? new Uint8Array(0), true);
        await frames.end();
      },
    });
  }

  async #begin(name: string, { text, tagged = false }: PublicPart): Promise<Begun> {
    const { id, step, wrapped, secret } = await this.#take();
    const salt = newSalt();
    const header = { keyId: id, step, salt, wrapped, ...(text !== undefined && { text }) };
    return {
      header: writeSealHeader(header, { tagged }),
      key: await importKey(objectKey(secret, { name, salt })),
    };
  }
}

async function wholeFrame(
  seal: FrameSeal,
  part: FramePlace & { readonly plain: Bytes },
): Promise<Bytes> {
  const whole = new Uint8Array(frameBytes(part.plain.length));
  placeFrame(whole, await sealFrame(seal, part));
  return whole;
}
