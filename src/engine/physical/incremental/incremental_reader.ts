import type { Bytes } from "../../../domain/bytes.ts";
import { IntegrityError } from "../../../domain/errors.ts";
import {
  HEAD_FIELDS_BYTES,
  type IncrementalHead,
  PAGE_BYTES,
  readHeadBytes,
  readIncrementalHead,
} from "./incremental_header.ts";

/** Hears what an incremental file says, in order. What it throws stops the reader. */
export interface IncrementalHandler {
  /** The head is complete: cut or extend the file to its truncation length before any write. */
  head(head: IncrementalHead): void;
  /**
   * Bytes that belong at `offset` of the file: parts of a page or several pages in a row. The view
   * is valid only during the call.
   */
  write(bytes: Bytes, offset: number): void;
}

/** Reads an incremental file that comes in pieces of any length. */
export class IncrementalReader {
  readonly #handler: IncrementalHandler;
  /** Of the head: first its fields, then all of it. */
  #buffer: Bytes = new Uint8Array(HEAD_FIELDS_BYTES);
  #filled = 0;
  #blocks: Uint32Array | undefined;
  /** The page under way, by its place in the file, and the bytes of it that came. */
  #index = 0;
  #within = 0;

  constructor(handler: IncrementalHandler) {
    this.#handler = handler;
  }

  /** @throws {IntegrityError} at the first byte that is wrong. */
  push(bytes: Bytes): void {
    let rest = bytes;
    while (rest.length > 0) rest = this.#blocks ? this.#pages(rest) : this.#head(rest);
  }

  /** @throws {IntegrityError} unless the whole file was there. */
  finish(): void {
    if (!this.#blocks) throw new IntegrityError("it ends inside its head");
    const missing = this.#blocks.length - this.#index;
    if (missing > 0) throw new IntegrityError(`it ends ${missing} pages too early`);
  }

  #head(bytes: Bytes): Bytes {
    const part = bytes.subarray(0, this.#buffer.length - this.#filled);
    this.#buffer.set(part, this.#filled);
    this.#filled += part.length;
    if (this.#filled === this.#buffer.length) this.#headFilled();
    return bytes.subarray(part.length);
  }

  #headFilled(): void {
    const length = readHeadBytes(this.#buffer);
    if (length > this.#buffer.length) {
      const longer = new Uint8Array(length);
      longer.set(this.#buffer);
      this.#buffer = longer;
      return;
    }
    const head = readIncrementalHead(this.#buffer);
    this.#blocks = head.blocks;
    this.#handler.head(head);
  }

  #pages(bytes: Bytes): Bytes {
    const blocks = this.#blocks!;
    const block = blocks[this.#index];
    if (block === undefined) throw new IntegrityError("bytes follow behind its last page");
    const room = this.#rowBytes(blocks, bytes.length);
    const part = bytes.subarray(0, room);
    this.#handler.write(part, block * PAGE_BYTES + this.#within);
    const come = this.#within + part.length;
    this.#index += Math.floor(come / PAGE_BYTES);
    this.#within = come % PAGE_BYTES;
    return bytes.subarray(part.length);
  }

  /** From here to the end of the row of neighbouring pages, as far as `wanted` goes. */
  #rowBytes(blocks: Uint32Array, wanted: number): number {
    let last = this.#index;
    let room = PAGE_BYTES - this.#within;
    while (room < wanted && blocks[last + 1] === blocks[last]! + 1) {
      last += 1;
      room += PAGE_BYTES;
    }
    return room;
  }
}
