/**
 * The form in which WAL is stored: segments in blocks of 1 MiB, the small texts as they are, with
 * the length and SHA-256 of the plain bytes in the metadata.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { BLOCK_BYTES, BlockReader, decodeBlock } from "../../codec/codec.ts";
import { type Bytes, joinBytes } from "../../domain/bytes.ts";
import { IntegrityError } from "../../domain/errors.ts";
import { isWalSegmentBytes, type WalName } from "../../domain/wal.ts";
import { isCompressedWal } from "../../domain/wal_key.ts";
import type { ObjectInfo } from "../../storage/storage.ts";

/** In the long header of a segment's first page. */
const SEGMENT_SIZE_AT = 32;

/** What is known of a file's plain bytes. */
export interface WalDigest {
  readonly rawBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** What is put. */
export interface WalBody {
  readonly stored: Bytes;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A WAL file as it will be stored. */
export interface EncodedWal extends WalDigest, WalBody {}

/** Puts together what will be stored of one file. */
export interface WalWriter {
  /** Takes the next block, or the whole of a text, for itself. */
  write(block: Bytes): Promise<void> | void;
  end(digest: WalDigest): Promise<WalBody> | WalBody;
}

/** A file on its way into the archive, and the key that it will be stored under. */
export interface WalTarget {
  readonly name: WalName;
  readonly key: string;
}

/** Begins to encrypt a file. */
export type WalSeal = (target: WalTarget) => WalWriter;

/** Made from the SHA-256 of a file's plain bytes. */
export type WalTag = (sha256: string) => Promise<string>;

/** Opens an encrypted object that is stored under `key`. */
export type WalOpen = (key: string, sealed: Bytes) => Promise<Bytes>;

/**
 * Opens a stored object and compares it with what its metadata says.
 *
 * @returns its plain bytes, block by block: nothing is proved of them before the last one was taken.
 * @throws {IntegrityError} when it is not what was stored.
 */
export function* decodeWal(
  name: WalName,
  { stored, expected }: { readonly stored: Bytes; readonly expected: WalDigest | undefined },
): Generator<Bytes, void> {
  const hash = expected && createHash("sha256");
  let length = 0;
  for (const block of isCompressedWal(name) ? decodeBlocks(name, stored) : [stored]) {
    hash?.update(block);
    length += block.length;
    yield block;
  }
  if (!expected) return;
  if (length !== expected.rawBytes) {
    throw new IntegrityError(
      `archived WAL ${name.name} has ${length} bytes, ${expected.rawBytes} were stored`,
    );
  }
  const sha256 = hash!.digest("hex");
  if (sha256 === expected.sha256) return;
  throw new IntegrityError(
    `archived WAL ${name.name} has SHA-256 ${sha256}, ${expected.sha256} was stored`,
  );
}

function* decodeBlocks({ name }: WalName, stored: Bytes): Generator<Bytes, void> {
  const reader = new BlockReader("zstd");
  let length = 0;
  let most: number | undefined;
  try {
    for (const block of reader.push(stored)) {
      length += block.rawBytes;
      // A few bytes can be made to hold terabytes of zeros.
      if (length > (most ?? BLOCK_BYTES)) {
        throw new IntegrityError(`it holds more than its ${most ?? BLOCK_BYTES} bytes`);
      }
      const raw = decodeBlock("zstd", block.bytes);
      most ??= claimedBytes(raw);
      yield raw;
    }
    reader.end();
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    throw new IntegrityError(`archived WAL ${name}: ${error.message}`, error.hint, {
      cause: error,
    });
  }
}

/** Stores a file in the clear. */
export function clearWriter(): WalWriter {
  const blocks: Bytes[] = [];
  return {
    write: (block) => void blocks.push(block),
    end: ({ rawBytes, sha256 }) => ({
      stored: joined(blocks),
      metadata: { "raw-bytes": String(rawBytes), sha256 },
    }),
  };
}

/** The segment's length, as its first page tells it; `xlp_seg_size` in xlog_internal.h. */
function claimedBytes(first: Bytes): number {
  if (first.length < SEGMENT_SIZE_AT + 4) return first.length;
  const view = new DataView(first.buffer, first.byteOffset, first.byteLength);
  const bytes = view.getUint32(SEGMENT_SIZE_AT, true);
  return isWalSegmentBytes(bytes) ? bytes : first.length;
}

/** What an object's metadata says; undefined where a copy by another tool has lost it. */
export function digestOf({ metadata }: ObjectInfo): WalDigest | undefined {
  const { sha256, "raw-bytes": length = "" } = metadata ?? {};
  if (sha256 === undefined || !/^[0-9a-f]{64}$/.test(sha256)) return undefined;
  return /^\d{1,12}$/.test(length) ? { rawBytes: Number(length), sha256 } : undefined;
}

/** Of an encrypted object: the hash of its stored bytes, in lower-case hexadecimal. */
export function storedHashOf({ metadata }: ObjectInfo): string | undefined {
  const hash = metadata?.["stored-sha256"];
  return hash !== undefined && /^[0-9a-f]{64}$/.test(hash) ? hash : undefined;
}

/** Of an encrypted object: what stands in the place of the hash, which would tell too much. */
export function tagIn({ metadata }: ObjectInfo): { readonly tag: string } | undefined {
  const { tag } = metadata ?? {};
  return tag !== undefined && /^[0-9a-f]{64}$/.test(tag) ? { tag } : undefined;
}

/** SHA-256 in lower-case hexadecimal. */
export function sha256Of(...parts: readonly Bytes[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

/** The parts in one buffer. */
export function joined(parts: readonly Bytes[]): Bytes {
  return parts.length === 1 ? parts[0]! : joinBytes(parts);
}
