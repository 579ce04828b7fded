import type { Bytes } from "../domain/bytes.ts";
import { IntegrityError } from "../domain/errors.ts";
import type { BlockHeader } from "./block.ts";
import { blockHeaderBytes, readBlockHeader } from "./block.ts";
import type { CodecSpec } from "./codec_port.ts";

/** A whole block as it is stored. */
export interface StoredBlock {
  /** In a buffer of its own. */
  readonly bytes: Bytes;
  readonly rawBytes: number;
}

/** Splits stored bytes, in whatever pieces they come, into whole blocks. Decodes nothing. */
export class BlockReader {
  readonly #algorithm: CodecSpec["algorithm"];
  readonly #head: Bytes;
  #headFilled = 0;
  #block: Bytes | undefined;
  #rawBytes = 0;
  #filled = 0;
  #offset = 0;

  constructor(algorithm: CodecSpec["algorithm"]) {
    this.#algorithm = algorithm;
    this.#head = new Uint8Array(blockHeaderBytes(algorithm));
  }

  /** Where in the object the block that is being read begins. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * The blocks that `bytes` completes, in order. Take all of them before the next call.
   *
   * @throws {IntegrityError} where a block should begin and none does.
   */
  *push(bytes: Bytes): Generator<StoredBlock> {
    let rest = bytes;
    while (rest.length > 0) {
      rest = this.#block ? this.#fillBlock(this.#block, rest) : this.#fillHead(rest);
      const block = this.#block;
      if (!block || this.#filled < block.length) continue;
      this.#block = undefined;
      yield { bytes: block, rawBytes: this.#rawBytes };
      this.#offset += block.length;
    }
  }

  /** @throws {IntegrityError} when the bytes ended inside a block. */
  end(): void {
    if (!this.#block && this.#headFilled === 0) return;
    throw new IntegrityError(`the object is cut short inside the block at byte ${this.#offset}`);
  }

  #fillHead(bytes: Bytes): Bytes {
    const part = bytes.subarray(0, this.#head.length - this.#headFilled);
    this.#head.set(part, this.#headFilled);
    this.#headFilled += part.length;
    if (this.#headFilled === this.#head.length) this.#startBlock();
    return bytes.subarray(part.length);
  }

  #startBlock(): void {
    const header = this.#readHeader();
    this.#block = new Uint8Array(header.storedBytes);
    this.#block.set(this.#head);
    this.#filled = this.#head.length;
    this.#headFilled = 0;
    this.#rawBytes = header.rawBytes;
  }

  #readHeader(): BlockHeader {
    try {
      return readBlockHeader(this.#algorithm, this.#head);
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      throw new IntegrityError(`${error.message}, at byte ${this.#offset}`, error.hint, {
        cause: error,
      });
    }
  }

  #fillBlock(block: Bytes, bytes: Bytes): Bytes {
    const part = bytes.subarray(0, block.length - this.#filled);
    block.set(part, this.#filled);
    this.#filled += part.length;
    return bytes.subarray(part.length);
  }
}
