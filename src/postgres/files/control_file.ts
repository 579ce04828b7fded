import type { Bytes } from "../../domain/bytes.ts";
import { PostgresError } from "../../domain/errors.ts";

/** What `global/pg_control` says. */
export interface ControlFile {
  /** The whole file, as it belongs into a backup. */
  readonly bytes: Bytes;
  /** Decimal. */
  readonly systemIdentifier: string;
  /** The number in the names of tablespaces' folders: `PG_15_202209061`. */
  readonly catalogVersion: number;
}

/** PG_CONTROL_FILE_SIZE; what is written at once is its first sector. */
const FILE_BYTES = 8192;
const SECTOR_BYTES = 512;
/** No version's structure is shorter. */
const SMALLEST_STRUCTURE = 128;
/** Times and milliseconds: a write of the file lasts microseconds. */
const ATTEMPTS = 10;
const PAUSE_MS = 10;

/**
 * Reads the control file, again when it was caught while the server wrote it.
 *
 * @throws {PostgresError} when it cannot be read, or its CRC stays wrong.
 */
export async function readControlFile(dataDirectory: string): Promise<ControlFile> {
  const path = `${dataDirectory}/global/pg_control`;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const bytes = await readBytes(path);
    if (hasControlChecksum(bytes)) return parse(bytes);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  throw new PostgresError(
    `the checksum of ${path} is wrong`,
    "read PostgreSQL's log: with this file damaged the server would not start again",
  );
}

/**
 * Whether the CRC-32C of the structure is right. It stands at the structure's end, whose place
 * differs between versions; behind it there are zeros only (src/include/catalog/pg_control.h).
 */
export function hasControlChecksum(bytes: Bytes): boolean {
  if (bytes.length !== FILE_BYTES) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = SECTOR_BYTES;
  while (end > SMALLEST_STRUCTURE && view.getUint32(end - 4, true) === 0) end -= 4;
  return crc32c(bytes.subarray(0, end - 4)) === view.getUint32(end - 4, true);
}

async function readBytes(path: string): Promise<Bytes> {
  try {
    return await Deno.readFile(path);
  } catch (cause) {
    throw new PostgresError(`cannot read ${path}`, "is this a data directory?", { cause });
  }
}

function parse(bytes: Bytes): ControlFile {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    bytes,
    systemIdentifier: view.getBigUint64(0, true).toString(),
    catalogVersion: view.getUint32(12, true),
  };
}

const CRC32C = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

/** Castagnoli's, as PostgreSQL uses it (src/include/port/pg_crc32c.h). */
function crc32c(bytes: Bytes): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC32C[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
