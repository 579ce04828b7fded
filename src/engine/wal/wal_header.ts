/**
 * The first page of a WAL segment tells whose it is. PostgreSQL source, `XLogLongPageHeaderData` in
 * src/include/access/xlog_internal.h; the magic numbers were read off segments of each version.
 *
 * @module
 */
import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError, VersionError } from "../../domain/errors.ts";
import type { Lsn } from "../../domain/lsn.ts";
import { formatLsn } from "../../domain/lsn.ts";
import { isWalSegmentBytes, numberOfName, segmentStart } from "../../domain/wal.ts";

/** Length of the long header. */
export const WAL_HEADER_BYTES = 40;

/** `xlp_info`: this page has the long header, as the first one of a segment must. */
const LONG_HEADER = 0x0002;

/** XLOG_PAGE_MAGIC of each major version. */
const MAGIC: Readonly<Record<number, number>> = {
  0xd106: 13,
  0xd10d: 14,
  0xd110: 15,
  0xd113: 16,
  0xd116: 17,
  0xd118: 18,
};

/** What the first page of a segment says. */
export interface WalHeader {
  /** PostgreSQL's major version. */
  readonly major: number;
  /** Of the first page: an ancestor's in the segment where a new timeline began. */
  readonly timeline: number;
  readonly pageAddress: Lsn;
  /** 64 bits, as decimal text. */
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
}

/** What a segment must be. */
export interface ExpectedWal {
  /** Its file's name and the numbers in it. */
  readonly name: {
    readonly name: string;
    readonly timeline: number;
    readonly log: number;
    readonly segment: number;
  };
  /** The file's length. */
  readonly fileBytes: number;
  /** Absent when nobody knows it yet. */
  readonly systemIdentifier?: string | undefined;
}

/**
 * Reads and checks the header of a whole segment.
 *
 * @param bytes at least the first {@link WAL_HEADER_BYTES} of it.
 * @throws {IntegrityError} when this is no WAL, or not the segment that its name says.
 * @throws {VersionError} when it is WAL of a PostgreSQL that backupctl does not know.
 */
export function checkWalHeader(bytes: Bytes, expected: ExpectedWal): WalHeader {
  const { name, fileBytes } = expected;
  const header = readWalHeader(bytes, name.name);
  const refuse = (what: string, hint?: string) => {
    throw new IntegrityError(`WAL segment ${name.name} ${what}`, hint);
  };
  if (header.segmentBytes !== fileBytes) {
    refuse(`has ${fileBytes} bytes, its header says ${header.segmentBytes}`, "is it cut short?");
  }
  const number = numberOfName(name, header.segmentBytes);
  if (number === undefined || segmentStart(number, header.segmentBytes) !== header.pageAddress) {
    refuse(`begins at ${formatLsn(header.pageAddress)}: it holds another segment's content`);
  }
  if (header.timeline < 1 || header.timeline > name.timeline) {
    refuse(`holds WAL of timeline ${header.timeline}`);
  }
  const { systemIdentifier } = expected;
  if (systemIdentifier !== undefined && systemIdentifier !== header.systemIdentifier) {
    refuse(
      `belongs to system ${header.systemIdentifier}, not to ${systemIdentifier}`,
      "is it the file of another cluster?",
    );
  }
  return header;
}

function readWalHeader(bytes: Bytes, name: string): WalHeader {
  if (bytes.length < WAL_HEADER_BYTES) {
    throw new IntegrityError(`WAL segment ${name} has only ${bytes.length} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, WAL_HEADER_BYTES);
  const [magic, info] = [view.getUint16(0, true), view.getUint16(2, true)];
  const header = {
    major: MAGIC[magic] ?? refuseMagic(magic, name),
    timeline: view.getUint32(4, true),
    pageAddress: view.getBigUint64(8, true),
    systemIdentifier: view.getBigUint64(24, true).toString(),
    segmentBytes: view.getUint32(32, true),
  };
  if ((info & LONG_HEADER) !== 0 && isWalSegmentBytes(header.segmentBytes)) return header;
  throw new IntegrityError(`WAL segment ${name} does not begin with a whole header`);
}

function refuseMagic(magic: number, name: string): never {
  const shown = `0x${magic.toString(16).toUpperCase().padStart(4, "0")}`;
  if (magic >> 8 !== 0xd1) {
    throw new IntegrityError(
      `WAL segment ${name} begins with ${shown}, which is no PostgreSQL's`,
      "is the file damaged, or encrypted by something else?",
    );
  }
  throw new VersionError(
    `WAL segment ${name} begins with ${shown}, which is not of PostgreSQL 13 to 18`,
    "upgrade backupctl",
  );
}
