import { BLOCK_BYTES } from "../../codec/codec.ts";
import type { Bytes } from "../../domain/bytes.ts";
import { MiB } from "../../domain/bytes.ts";
import type { TarMember } from "./tar_member.ts";
import { TAR_BLOCK_BYTES } from "./tar_member.ts";

/** PostgreSQL's pages; those of a build with other ones merely cut blocks at other places. */
const PAGE_BYTES = 8192;
/** A chunk ends with the first file that makes it this long; a file this long is one alone. */
const CHUNK_BYTES = 128 * MiB;
/** Two blocks of zeros end a tar. */
const TAR_END_BYTES = 2 * TAR_BLOCK_BYTES;

/** One block of a chunk, ready to be compressed. */
export interface ChunkBlock {
  /** Counted from 1. */
  readonly chunk: number;
  /** In a buffer of its own, at most a codec's block. */
  readonly bytes: Bytes;
  /** Whether the chunk ends with it. */
  readonly last: boolean;
}

/**
 * Makes chunks of whole files: each a tar with its end, in blocks that never split a page of a
 * file. Give it members one by one and take the finished blocks after each call.
 */
export class ChunkCutter {
  readonly #chunkBytes: number;
  #ready: ChunkBlock[] = [];
  #chunk = 1;
  /** Of the chunk under way, in finished blocks. */
  #flushedBytes = 0;
  #block: Bytes = new Uint8Array(BLOCK_BYTES);
  #filled = 0;
  #size = 0;
  #position = 0;

  /** @param chunkBytes smaller for tests. @default {134217728} */
  constructor(chunkBytes: number = CHUNK_BYTES) {
    this.#chunkBytes = chunkBytes;
  }

  /** The number of the chunk under way. */
  get chunk(): number {
    return this.#chunk;
  }

  /** The blocks that are finished since the last call. */
  take(): readonly ChunkBlock[] {
    const ready = this.#ready;
    if (ready.length > 0) this.#ready = [];
    return ready;
  }

  begin(member: TarMember, header: Bytes): void {
    if (member.size >= this.#chunkBytes) this.endChunk();
    this.#size = member.size;
    this.#position = 0;
    this.#append(header);
  }

  content(bytes: Bytes): void {
    let rest = bytes;
    while (rest.length > 0) {
      const part = rest.subarray(0, this.#contentRoom());
      if (part.length === 0) {
        this.#flush(false);
        continue;
      }
      this.#fill(part);
      this.#position += part.length;
      rest = rest.subarray(part.length);
    }
  }

  end(): void {
    this.#append(
      new Uint8Array((TAR_BLOCK_BYTES - this.#size % TAR_BLOCK_BYTES) % TAR_BLOCK_BYTES),
    );
    if (this.#flushedBytes + this.#filled >= this.#chunkBytes) this.endChunk();
  }

  /** Ends the chunk under way, if it has any member. */
  endChunk(): void {
    if (this.#flushedBytes + this.#filled === 0) return;
    this.#append(new Uint8Array(TAR_END_BYTES));
    this.#flush(true);
    this.#chunk += 1;
    this.#flushedBytes = 0;
  }

  /** How many bytes of the file fit into the block: all the rest of it, or whole pages. */
  #contentRoom(): number {
    const room = BLOCK_BYTES - this.#filled;
    if (this.#size - this.#position <= room) return room;
    const pages = Math.floor((this.#position + room) / PAGE_BYTES) * PAGE_BYTES;
    return Math.max(0, pages - this.#position);
  }

  /** Bytes that must not be split. */
  #append(bytes: Bytes): void {
    if (this.#filled + bytes.length > BLOCK_BYTES) this.#flush(false);
    this.#fill(bytes);
  }

  #fill(bytes: Bytes): void {
    this.#block.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  #flush(last: boolean): void {
    const full = this.#filled === BLOCK_BYTES;
    const bytes = full ? this.#block : this.#block.slice(0, this.#filled);
    this.#ready.push({ chunk: this.#chunk, bytes, last });
    if (full) this.#block = new Uint8Array(BLOCK_BYTES);
    this.#flushedBytes += this.#filled;
    this.#filled = 0;
  }
}
