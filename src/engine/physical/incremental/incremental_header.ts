/**
 * The head of an incremental file, as PostgreSQL 17 writes and pg_combinebackup reads it: magic,
 * number of blocks, truncation length in blocks and the numbers of the blocks, each 32 bits in the
 * server's byte order, of which only little-endian is known here. Where blocks follow, the head is
 * padded to a multiple of the page size. PostgreSQL source, src/include/backup/basebackup_incremental.h
 * and src/backend/backup/basebackup.c (sendFile).
 *
 * @module
 */
import type { Bytes } from "../../../domain/bytes.ts";
import { IntegrityError } from "../../../domain/errors.ts";

/** The first four bytes. */
export const INCREMENTAL_MAGIC = 0xd3ae1f0d;
/** The only page size whose increments are read and written. */
export const PAGE_BYTES = 8192;
/** Pages of a relation's segment: 1 GiB, which no released package builds otherwise. */
export const SEGMENT_PAGES = 131_072;

const FIELDS_BYTES = 12;
const NUMBER_BYTES = 4;

/** What the head of an incremental file says. */
export interface IncrementalHead {
  /** Numbers of the pages that follow, ascending. */
  readonly blocks: Uint32Array;
  /**
   * The file's length without these pages: shorter ones of the parent are kept, longer ones cut.
   * Pages behind it are in the file only when they follow here, or lie before one that does.
   */
  readonly truncationBlocks: number;
}

/** Bytes in front of the first page, padding included; without pages there is no padding. */
export function incrementalHeadBytes(blockCount: number): number {
  const bytes = FIELDS_BYTES + NUMBER_BYTES * blockCount;
  return blockCount === 0 ? bytes : Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

/** Bytes of an incremental file as a whole. */
export function incrementalFileBytes(blockCount: number): number {
  return incrementalHeadBytes(blockCount) + PAGE_BYTES * blockCount;
}

/**
 * The head of an incremental file, with its padding.
 *
 * @param blocks ascending numbers of the pages that will follow in this order.
 * @throws {RangeError} when they are not ascending or lie outside of a segment.
 */
export function incrementalHeader(blocks: Uint32Array, truncationBlocks: number): Bytes {
  const fault = headFault({ blocks, truncationBlocks });
  if (fault !== undefined) throw new RangeError(fault);
  const bytes = new Uint8Array(incrementalHeadBytes(blocks.length));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, INCREMENTAL_MAGIC, true);
  view.setUint32(4, blocks.length, true);
  view.setUint32(8, truncationBlocks, true);
  blocks.forEach((block, index) =>
    view.setUint32(FIELDS_BYTES + NUMBER_BYTES * index, block, true)
  );
  return bytes;
}

/**
 * How long the head is, from its first twelve bytes.
 *
 * @throws {IntegrityError} when they are not those of an incremental file.
 */
export function readHeadBytes(fields: Bytes): number {
  const view = new DataView(fields.buffer, fields.byteOffset, fields.length);
  const magic = view.getUint32(0, true);
  if (magic !== INCREMENTAL_MAGIC) {
    throw new IntegrityError(`it begins with 0x${magic.toString(16)}, not as an incremental file`);
  }
  const count = view.getUint32(4, true);
  if (count > SEGMENT_PAGES) throw new IntegrityError(`it promises ${count} pages`);
  return incrementalHeadBytes(count);
}

/**
 * Reads a whole head of {@link readHeadBytes}.
 *
 * @throws {IntegrityError} when its numbers cannot be, or its padding is not empty.
 */
export function readIncrementalHead(head: Bytes): IncrementalHead {
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const count = view.getUint32(4, true);
  const blocks = Uint32Array.from(
    { length: count },
    (_, index) => view.getUint32(FIELDS_BYTES + NUMBER_BYTES * index, true),
  );
  const found = { blocks, truncationBlocks: view.getUint32(8, true) };
  const fault = headFault(found);
  if (fault !== undefined) throw new IntegrityError(fault);
  return found;
}

/** The bytes that come before the length of the head is known. */
export const HEAD_FIELDS_BYTES = FIELDS_BYTES;

function headFault({ blocks, truncationBlocks }: IncrementalHead): string | undefined {
  if (!(truncationBlocks >= 0 && truncationBlocks <= SEGMENT_PAGES)) {
    return `its truncation length is ${truncationBlocks} pages, more than a segment has`;
  }
  for (let index = 0; index < blocks.length; index++) {
    const block = blocks[index]!;
    if (block >= SEGMENT_PAGES) return `page ${block} lies outside of a segment`;
    if (index > 0 && block <= blocks[index - 1]!) {
      return `page ${block} stands behind page ${blocks[index - 1]}`;
    }
  }
  return undefined;
}
