/**
 * One block of a stored object: an independent zstd frame or gzip member with its lengths in front.
 * Runs on the calling thread and starts no worker, so that the WAL path may use it.
 *
 * - zstd: a skippable frame (RFC 8878, 3.1.2) of 8 bytes, the length of the zstd frame behind it
 *   and the raw length, each 32 bits little-endian; then that frame, with its content checksum.
 * - gzip: one member (RFC 1952) whose extra field has the subfield `BK` of 8 bytes: the length of
 *   the whole member and the raw length.
 *
 * @module
 */
import * as zlib from "node:zlib";
import type { Bytes } from "../domain/bytes.ts";
import { discard, joinBytes, MiB } from "../domain/bytes.ts";
import { IntegrityError } from "../domain/errors.ts";
import type { CodecSpec } from "./codec_port.ts";

/** No block holds more raw bytes than this. */
export const BLOCK_BYTES = MiB;

/**
 * The most that a block may take up: deflate's fixed code spends 9 bits on a byte where it guesses
 * wrong, and twice that leaves room for headers and for other makers.
 */
function maxStoredBytes(rawBytes: number): number {
  return rawBytes + Math.ceil(rawBytes / 4) + 16 * 1024;
}

/** The native calls then fill one buffer of a block's size and copy nothing together. */
const CHUNK_BYTES = BLOCK_BYTES + 64;

/**
 * For {@link EncodeBlockOptions.frugal}: most blocks come down to less, each call takes fresh
 * memory of this size, and a new process pays for touching a whole MiB as much as for compressing.
 */
const FRUGAL_CHUNK_BYTES = BLOCK_BYTES / 4;

const ZSTD_HEADER_BYTES = 16;
const ZSTD_SKIPPABLE = [0x50, 0x2a, 0x4d, 0x18, 8, 0, 0, 0] as const;
const GZIP_HEADER_BYTES = 24;
const GZIP_TRAILER_BYTES = 8;
/** Magic, deflate, FEXTRA, no time, no flags, unknown system, extra field of 12: `BK`, 8 bytes. */
const GZIP_FIXED = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 12, 0, 0x42, 0x4b, 8, 0] as const;
/** The level that `CompressionStream` has. */
const GZIP_DEFAULT_LEVEL = 6;

/** What stands in front of a block. */
export interface BlockHeader {
  /** Of the whole block, its header included. */
  readonly storedBytes: number;
  readonly rawBytes: number;
}

/** How many bytes {@link readBlockHeader} needs. */
export function blockHeaderBytes(algorithm: CodecSpec["algorithm"]): number {
  return algorithm === "zstd" ? ZSTD_HEADER_BYTES : GZIP_HEADER_BYTES;
}

/**
 * Reads the lengths in front of a block.
 *
 * @param bytes at least {@link blockHeaderBytes} of them, from the block's first byte on.
 * @throws {IntegrityError} when this is no header of ours, or promises more than a block may hold.
 */
export function readBlockHeader(algorithm: CodecSpec["algorithm"], bytes: Bytes): BlockHeader {
  const fixed = algorithm === "zstd" ? ZSTD_SKIPPABLE : GZIP_FIXED;
  if (fixed.some((value, index) => bytes[index] !== value)) {
    throw new IntegrityError(`no ${algorithm} block begins where one must`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(fixed.length, true);
  const rawBytes = view.getUint32(fixed.length + 4, true);
  const storedBytes = algorithm === "zstd" ? ZSTD_HEADER_BYTES + length : length;
  if (rawBytes > BLOCK_BYTES || storedBytes > maxStoredBytes(rawBytes)) {
    throw new IntegrityError(
      `a block promises ${rawBytes} raw bytes in ${storedBytes} stored ones, more than any may`,
    );
  }
  if (storedBytes <= minimumBytes(algorithm)) {
    throw new IntegrityError(`a block promises only ${storedBytes} stored bytes`);
  }
  return { storedBytes, rawBytes };
}

function minimumBytes(algorithm: CodecSpec["algorithm"]): number {
  return algorithm === "zstd" ? ZSTD_HEADER_BYTES : GZIP_HEADER_BYTES + GZIP_TRAILER_BYTES;
}

/** How a block is compressed. */
export interface EncodeBlockOptions {
  /**
   * For a process that compresses a few blocks and ends. Where many rush through, results of more
   * than one chunk are put together from pieces that only a garbage collection gives back.
   *
   * @default {false}
   */
  readonly frugal?: boolean;
}

/**
 * Compresses one block.
 *
 * @param raw at most {@link BLOCK_BYTES}.
 * @returns the whole block in a buffer of its own, ready to be transferred.
 */
export async function encodeBlock(
  spec: CodecSpec,
  raw: Bytes,
  { frugal = false }: EncodeBlockOptions = {},
): Promise<Bytes> {
  if (raw.length > BLOCK_BYTES) {
    throw new RangeError(`a block of ${raw.length} bytes is above ${BLOCK_BYTES}`);
  }
  const block = spec.algorithm === "zstd"
    ? zstdBlock(zstdFrame(spec.level, raw, frugal), raw.length)
    : gzipBlock(await deflate(spec.level, raw), raw);
  readBlockHeader(spec.algorithm, block); // nothing is written that would not be read
  return block;
}

function zstdFrame(level: number, raw: Bytes, frugal: boolean): Uint8Array {
  return zlib.zstdCompressSync(raw, {
    chunkSize: frugal ? FRUGAL_CHUNK_BYTES : CHUNK_BYTES,
    params: {
      [zlib.constants.ZSTD_c_compressionLevel]: level,
      [zlib.constants.ZSTD_c_checksumFlag]: 1,
    },
  });
}

function zstdBlock(frame: Uint8Array, rawBytes: number): Bytes {
  const block = new Uint8Array(ZSTD_HEADER_BYTES + frame.length);
  block.set(ZSTD_SKIPPABLE);
  const view = new DataView(block.buffer);
  view.setUint32(8, frame.length, true);
  view.setUint32(12, rawBytes, true);
  block.set(frame, ZSTD_HEADER_BYTES);
  discard(frame);
  return block;
}

async function deflate(level: number, raw: Bytes): Promise<Uint8Array> {
  if (level !== GZIP_DEFAULT_LEVEL) {
    return zlib.deflateRawSync(raw, { level, chunkSize: CHUNK_BYTES });
  }
  const stream = new CompressionStream("deflate-raw");
  const writer = stream.writable.getWriter();
  const written = writer.write(raw).then(() => writer.close());
  const [pieces] = await Promise.all([Array.fromAsync(stream.readable), written]);
  return joined(pieces);
}

/** In one piece; the memory of the others is given back. */
function joined(pieces: readonly Bytes[]): Bytes {
  const whole = joinBytes(pieces);
  for (const piece of pieces) discard(piece);
  return whole;
}

function gzipBlock(deflated: Uint8Array, raw: Bytes): Bytes {
  const block = new Uint8Array(GZIP_HEADER_BYTES + deflated.length + GZIP_TRAILER_BYTES);
  block.set(GZIP_FIXED);
  const view = new DataView(block.buffer);
  view.setUint32(16, block.length, true);
  view.setUint32(20, raw.length, true);
  block.set(deflated, GZIP_HEADER_BYTES);
  discard(deflated);
  view.setUint32(block.length - 8, zlib.crc32(raw), true);
  view.setUint32(block.length - 4, raw.length, true);
  return block;
}

/**
 * Opens exactly one block, comparing every length and its checksum.
 *
 * @param block the whole block, no byte more.
 * @returns its raw bytes in a buffer that may be transferred.
 * @throws {IntegrityError} when it is not what {@link encodeBlock} made.
 */
export function decodeBlock(algorithm: CodecSpec["algorithm"], block: Bytes): Bytes {
  if (block.length < blockHeaderBytes(algorithm)) {
    throw new IntegrityError(`a block ends after ${block.length} bytes`);
  }
  const { storedBytes, rawBytes } = readBlockHeader(algorithm, block);
  if (storedBytes !== block.length) {
    throw new IntegrityError(`a block of ${block.length} bytes promises ${storedBytes}`);
  }
  const raw = algorithm === "zstd" ? unzstd(block) : gunzip(block);
  if (raw.length === rawBytes) return raw;
  throw new IntegrityError(`a block gave ${raw.length} bytes and promised ${rawBytes}`);
}

function unzstd(block: Bytes): Bytes {
  return opened(() => zlib.zstdDecompressSync(block.subarray(ZSTD_HEADER_BYTES), LIMITS));
}

function gunzip(block: Bytes): Bytes {
  const deflated = block.subarray(GZIP_HEADER_BYTES, block.length - GZIP_TRAILER_BYTES);
  const raw = opened(() => zlib.inflateRawSync(deflated, LIMITS));
  const trailer = new DataView(block.buffer, block.byteOffset + block.length - GZIP_TRAILER_BYTES);
  const crc = trailer.getUint32(0, true);
  if (zlib.crc32(raw) !== crc || trailer.getUint32(4, true) !== raw.length) {
    throw new IntegrityError("a block does not match its CRC-32 and length");
  }
  return raw;
}

/** More output than a block may hold is refused while it is made. */
const LIMITS = { chunkSize: CHUNK_BYTES, maxOutputLength: BLOCK_BYTES } as const;

function opened(open: () => Uint8Array): Bytes {
  try {
    return open() as Bytes;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new IntegrityError(`a block cannot be decompressed: ${reason}`, undefined, {
      cause: error,
    });
  }
}
