import type { CodecSpec, ExpectedForm } from "../../codec/codec.ts";
import { BlockReader, decodeBlock, StoredFormCheck } from "../../codec/codec.ts";
import { type Bytes, discard } from "../../domain/bytes.ts";
import { IntegrityError } from "../../domain/errors.ts";
import { type TarHandler, TarReader } from "./tar_reader.ts";

/** A tar ends with two of them. */
const END_BLOCKS = 2;

/** Opens one stored chunk on the calling thread, and holds it to what the manifest promises. */
export class ChunkReader {
  readonly #algorithm: CodecSpec["algorithm"];
  readonly #blocks: BlockReader;
  readonly #check: StoredFormCheck;
  readonly #tar: TarReader;

  constructor(
    handler: TarHandler,
    form: { readonly algorithm: CodecSpec["algorithm"]; readonly expected: ExpectedForm },
  ) {
    this.#algorithm = form.algorithm;
    this.#blocks = new BlockReader(form.algorithm);
    this.#check = new StoredFormCheck(form.expected);
    this.#tar = new TarReader(handler, { extended: true });
  }

  /**
   * The next stored bytes.
   *
   * @returns how many raw bytes were handed on.
   * @throws {IntegrityError}
   */
  push(bytes: Bytes): number {
    let rawBytes = 0;
    this.#check.stored(bytes);
    for (const block of this.#blocks.push(bytes)) {
      this.#check.block(block);
      const raw = this.#decode(block.bytes);
      discard(block.bytes);
      this.#tar.push(raw);
      discard(raw);
      rawBytes += block.rawBytes;
    }
    return rawBytes;
  }

  /** @throws {IntegrityError} unless the whole chunk was there and is what it should be. */
  finish(): void {
    this.#blocks.end();
    this.#check.end();
    this.#tar.finish();
    if (this.#tar.zeroBlocks < END_BLOCKS) throw new IntegrityError("the tar has no end");
  }

  #decode(block: Bytes): Bytes {
    try {
      return decodeBlock(this.#algorithm, block);
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      const near = this.#tar.current === undefined ? "" : `, in ${this.#tar.current}`;
      throw new IntegrityError(
        `${error.message}, at byte ${this.#blocks.offset}${near}`,
        error.hint,
        { cause: error },
      );
    }
  }
}
