import { type Bytes, MiB } from "../domain/bytes.ts";

const FIRST_BUFFER_BYTES = MiB;

/** Cuts a row of chunks into parts. At most one part is held, in a buffer that grows as needed. */
export class PartCutter {
  readonly #sizeOf: (number: number) => number;
  readonly #onPart: (part: Bytes) => Promise<void>;
  #number = 1;
  #buffer: Bytes = new Uint8Array(0);
  #filled = 0;

  /**
   * @param sizeOf length of the part of this number, from 1.
   * @param onPart gets every part but the last; the part's buffer is its own.
   */
  constructor(
    { sizeOf, onPart }: {
      readonly sizeOf: (number: number) => number;
      readonly onPart: (part: Bytes) => Promise<void>;
    },
  ) {
    this.#sizeOf = sizeOf;
    this.#onPart = onPart;
  }

  /** Appends. A full part is given away only when more follows: the last one is for `rest`. */
  async write(chunk: Bytes): Promise<void> {
    for (let at = 0; at < chunk.length;) {
      const size = this.#sizeOf(this.#number);
      if (this.#filled === size) {
        await this.#giveAway();
        continue;
      }
      const piece = chunk.subarray(at, at + size - this.#filled);
      this.#append(piece, size);
      at += piece.length;
    }
  }

  /** What came after the last part that was given away. */
  rest(): Bytes {
    return this.#buffer.subarray(0, this.#filled);
  }

  async #giveAway(): Promise<void> {
    const part = this.rest();
    this.#buffer = new Uint8Array(0);
    this.#filled = 0;
    this.#number += 1;
    await this.#onPart(part);
  }

  #append(piece: Bytes, size: number): void {
    const needed = this.#filled + piece.length;
    if (needed > this.#buffer.length) {
      const doubled = Math.max(needed, this.#buffer.length * 2, FIRST_BUFFER_BYTES);
      // From the second part on a full one is to be expected.
      const grown = new Uint8Array(this.#number > 1 ? size : Math.min(doubled, size));
      grown.set(this.rest());
      this.#buffer = grown;
    }
    this.#buffer.set(piece, this.#filled);
    this.#filled = needed;
  }
}
