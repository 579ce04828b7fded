/**
 * Checksums of files as PostgreSQL's backup_manifest has them. PostgreSQL docs, "Backup Manifest
 * Format"; source, src/common/checksum_helper.c.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Bytes } from "../../domain/bytes.ts";

/** The algorithms that a manifest may name, but for NONE. */
export type ChecksumAlgorithm = "CRC32C" | "SHA224" | "SHA256" | "SHA384" | "SHA512";

/** A checksum under way. */
export interface FileChecksum {
  /** The next bytes. */
  update(bytes: Bytes): void;
  /** In hexadecimal, as the manifest has it. Nothing may follow. */
  digest(): string;
}

/** Begins a checksum. */
export function fileChecksum(algorithm: ChecksumAlgorithm): FileChecksum {
  if (algorithm === "CRC32C") return new Crc32c();
  const hash = createHash(algorithm.toLowerCase());
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest("hex") };
}

/** Whether `name` is an algorithm that {@link fileChecksum} knows. */
export function isChecksumAlgorithm(name: unknown): name is ChecksumAlgorithm {
  return name === "CRC32C" || name === "SHA224" || name === "SHA256" || name === "SHA384" ||
    name === "SHA512";
}

/** Castagnoli's polynomial, its bits reversed. */
const POLYNOMIAL = 0x82f63b78;
/** Eight bytes at a time: one table for each of them. */
const SLICES = 8;

const TABLES = makeTables();

/** CRC-32C (RFC 3720, B.4) of 1 GB/s, eight bytes at a time; node:zlib has another polynomial. */
class Crc32c implements FileChecksum {
  #crc = -1;

  update(bytes: Bytes): void {
    this.#crc = advance(this.#crc, bytes);
  }

  /** The number as it lies in the memory of a little-endian server. */
  digest(): string {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setInt32(0, ~this.#crc, true);
    return bytes.toHex();
  }
}

function advance(start: number, bytes: Bytes): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const whole = bytes.length - bytes.length % SLICES;
  let crc = start;
  for (let at = 0; at < whole; at += SLICES) {
    const low = view.getInt32(at, true) ^ crc;
    const high = view.getInt32(at + 4, true);
    crc = t7![low & 255]! ^ t6![(low >>> 8) & 255]! ^ t5![(low >>> 16) & 255]! ^ t4![low >>> 24]! ^
      t3![high & 255]! ^ t2![(high >>> 8) & 255]! ^ t1![(high >>> 16) & 255]! ^ t0![high >>> 24]!;
  }
  for (let at = whole; at < bytes.length; at++) crc = t0![(crc ^ bytes[at]!) & 255]! ^ (crc >>> 8);
  return crc;
}

function makeTables(): readonly Int32Array[] {
  const tables = Array.from({ length: SLICES }, () => new Int32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[0]![byte] = crc;
  }
  for (let slice = 1; slice < SLICES; slice++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = tables[slice - 1]![byte]!;
      tables[slice]![byte] = (before >>> 8) ^ tables[0]![before & 255]!;
    }
  }
  return tables;
}
