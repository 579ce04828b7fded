import type { Bytes } from "../domain/bytes.ts";
import { IntegrityError } from "../domain/errors.ts";
import { FrameReader, type FrameSeal, importKey, openFrame, type StoredFrame } from "./frames.ts";
import { InOrder } from "./in_order.ts";
import type { KeyRing } from "./key_ring.ts";
import { readSealHeader } from "./seal_format.ts";

/** Frames under way: WebCrypto opens them on other threads. */
const AT_A_TIME = 3;

/** Opens sealed objects. */
export class ObjectOpener {
  readonly #ring: KeyRing;

  /** With the keys of `ring`. */
  constructor(ring: KeyRing) {
    this.#ring = ring;
  }

  /**
   * Opens a whole object.
   *
   * @param name the key under which it is stored: it was sealed for no other.
   * @throws {KeyError} when no identity opens its data key.
   * @throws {IntegrityError} when it is not what was sealed under that name.
   */
  async open(name: string, sealed: Bytes): Promise<Bytes> {
    const source: ReadableStream<Bytes> = ReadableStream.from([sealed]);
    return await new Response(source.pipeThrough(this.stream(name))).bytes();
  }

  /** Opens an object as it comes; ends only when its last frame was there. */
  stream(name: string): TransformStream<Bytes, Bytes> {
    const reader = new FrameReader();
    let sealOf: ((frame: StoredFrame) => FrameSeal) | undefined;
    let head: Bytes = new Uint8Array(0);
    let frames: InOrder<Bytes>;
    const push = async (bytes: Bytes) => {
      for (const frame of reader.push(bytes)) await frames.push(openFrame(sealOf!(frame), frame));
    };
    return new TransformStream<Bytes, Bytes>({
      start(controller) {
        frames = new InOrder(AT_A_TIME, (plain) => {
          if (plain.length > 0) controller.enqueue(plain);
        });
      },
      transform: async (chunk) => {
        if (sealOf) return await push(chunk);
        head = appended(head, chunk);
        const read = readSealHeader(head);
        if (!read) return;
        const key = await importKey(await this.#ring.objectKey(read.header, name));
        const { digest, lastDigest } = read;
        sealOf = ({ last }) => ({ key, digest: last ? lastDigest : digest });
        await push(head.subarray(read.bytes));
        head = new Uint8Array(0);
      },
      async flush() {
        if (!sealOf) throw new IntegrityError("the sealed object is cut short in its header");
        reader.end();
        await frames.end();
      },
    });
  }
}

function appended(head: Bytes, chunk: Bytes): Bytes {
  const whole = new Uint8Array(head.length + chunk.length);
  whole.set(head);
  whole.set(chunk, head.length);
  return whole;
}
