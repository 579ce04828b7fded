import type { Bytes } from "../domain/bytes.ts";
import { frameBytes, placeFrame, type SealedFrame, sealFrame } from "./frames.ts";
import { digestOf, MAX_FRAME_BYTES, withTag } from "./seal_format.ts";

const NOTHING: Bytes = new Uint8Array(0);

/**
 * An object whose frames are sealed while the rest of it is still being made: WebCrypto does it on
 * other threads. It is in memory until it is whole.
 */
export class HeldObject {
  readonly #key: CryptoKey;
  readonly #header: Bytes;
  readonly #tagged: boolean;
  readonly #digest: Bytes;
  readonly #frames: Promise<SealedFrame>[] = [];
  /** Of all frames. */
  #bytes = 0;

  /**
   * Begins an object sealed with `key`.
   *
   * @param begun.header as it is stored.
   * @param begun.tagged whether it promises a tag.
   */
  constructor({ key, header, tagged }: {
    readonly key: CryptoKey;
    readonly header: Bytes;
    readonly tagged: boolean;
  }) {
    this.#key = key;
    this.#header = header;
    this.#tagged = tagged;
    this.#digest = digestOf(header);
  }

  /** Adds a frame of at most 2 MiB. */
  push(plain: Bytes): void {
    this.#seal(plain, { last: false, digest: this.#digest });
  }

  /**
   * Adds the last frame.
   *
   * @param end.tag 64 hexadecimal digits, when one was promised: the last frame authenticates it.
   * @returns the object as it is stored.
   */
  async end(
    { last = NOTHING, tag }: { readonly last?: Bytes; readonly tag?: string } = {},
  ): Promise<Bytes> {
    if ((tag !== undefined) !== this.#tagged) throw new TypeError("a tag is promised, or none");
    const front = tag === undefined ? this.#header : withTag(this.#header, tag);
    this.#seal(last, { last: true, digest: digestOf(front) });
    // Written once, where it stays: a new process pays for each byte of memory that it touches.
    const stored = new Uint8Array(front.length + this.#bytes);
    stored.set(front);
    let at = front.length;
    for (const frame of this.#frames) at += placeFrame(stored.subarray(at), await frame);
    return stored;
  }

  #seal(plain: Bytes, { last, digest }: { readonly last: boolean; readonly digest: Bytes }): void {
    if (plain.length > MAX_FRAME_BYTES) throw new RangeError(`a frame of ${plain.length} bytes`);
    this.#bytes += frameBytes(plain.length);
    const place = { index: this.#frames.length, last, plain };
    const frame = sealFrame({ key: this.#key, digest }, place);
    frame.catch(() => {}); // told at the end, if that is ever reached
    this.#frames.push(frame);
  }
}
