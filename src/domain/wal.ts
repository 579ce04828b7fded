/**
 * Names and places of write-ahead log files. PostgreSQL docs, "WAL Internals" and "Continuous
 * Archiving"; src/include/access/xlog_internal.h for the arithmetic.
 *
 * @module
 */
import { GiB, MiB } from "./bytes.ts";
import type { Lsn } from "./lsn.ts";

/** What a file that PostgreSQL archives is, as its name tells. */
export type WalName =
  /** A whole segment: `00000002000000A900000065`. */
  | WalSegmentName
  /** Where a timeline came from: `00000002.history`. */
  | { readonly kind: "history"; readonly name: string; readonly timeline: number }
  /** What a base backup left behind: `00000002000000A900000065.00000028.backup`. */
  | (WalPlace & { readonly kind: "backup"; readonly offset: number })
  /** The last segment of a timeline that was left at a promotion: `….partial`. Never replayed. */
  | (WalPlace & { readonly kind: "partial" });

/** The three numbers of a segment's name. */
interface WalPlace {
  readonly name: string;
  readonly timeline: number;
  /** The high 32 bits of the segment's first LSN. */
  readonly log: number;
  /** Which one of the segments that share those 32 bits. */
  readonly segment: number;
}

/** The name of a whole segment. */
export interface WalSegmentName extends WalPlace {
  readonly kind: "segment";
}

/** The size that initdb gives unless told otherwise. */
export const DEFAULT_WAL_SEGMENT_BYTES = 16 * MiB;

const SMALLEST_SEGMENT = MiB;
const LARGEST_SEGMENT = GiB;
const FOUR_GIB = 4 * GiB;
const SEGMENT =
  /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(?:\.(?:(partial)|([0-9A-F]{8})\.backup))?$/;
const HISTORY = /^([0-9A-F]{8})\.history$/;

/** Reads a file's name; undefined when PostgreSQL gives no such name to what it archives. */
export function parseWalName(name: string): WalName | undefined {
  const history = HISTORY.exec(name);
  if (history) return timelineName(name, hex(history[1]!));
  const match = SEGMENT.exec(name);
  if (!match) return undefined;
  const [timeline, log, segment] = [hex(match[1]!), hex(match[2]!), hex(match[3]!)];
  // 1 MiB is the smallest size: never more than 4,096 segments share their high 32 bits.
  if (timeline === 0 || segment >= FOUR_GIB / SMALLEST_SEGMENT) return undefined;
  const place = { name, timeline, log, segment };
  if (match[4] !== undefined) return { kind: "partial", ...place };
  if (match[5] !== undefined) return { kind: "backup", ...place, offset: hex(match[5]) };
  return { kind: "segment", ...place };
}

/** Whether `name` is that of a whole segment. */
export function isWalSegmentName(name: string): boolean {
  return parseWalName(name)?.kind === "segment";
}

function timelineName(name: string, timeline: number): WalName | undefined {
  return timeline === 0 ? undefined : { kind: "history", name, timeline };
}

/** `00000002.history`: what tells where `timeline` came from. Timeline 1 has none. */
export function timelineHistoryName(timeline: number): string {
  return `${hex8(timeline)}.history`;
}

/** Whether PostgreSQL can have segments of so many bytes: a power of two, 1 MiB to 1 GiB. */
export function isWalSegmentBytes(bytes: number): boolean {
  if (!Number.isInteger(bytes) || bytes < SMALLEST_SEGMENT || bytes > LARGEST_SEGMENT) return false;
  return (bytes & (bytes - 1)) === 0;
}

/** The number of the segment that holds `lsn`, counted from the start of the log. */
export function segmentNumber(lsn: Lsn, segmentBytes: number): number {
  return Number(lsn / BigInt(checkedBytes(segmentBytes)));
}

/** The number of the segment that holds the byte before `lsn`: where a log that ends there ends. */
export function lastSegmentNumber(endLsn: Lsn, segmentBytes: number): number {
  return endLsn === 0n ? 0 : segmentNumber(endLsn - 1n, segmentBytes);
}

/** The first LSN of a segment. */
export function segmentStart(number: number, segmentBytes: number): Lsn {
  return BigInt(number) * BigInt(checkedBytes(segmentBytes));
}

/** `00000002000000A900000065`. */
export function segmentName(timeline: number, number: number, segmentBytes: number): string {
  const perLog = FOUR_GIB / checkedBytes(segmentBytes);
  return hex8(timeline) + hex8(Math.floor(number / perLog)) + hex8(number % perLog);
}

/**
 * The number of the segment that a name stands for; undefined when there is none of that name at
 * this size, such as `0000000100000000000000FF` at 1 GiB.
 */
export function numberOfName(
  name: { readonly log: number; readonly segment: number },
  segmentBytes: number,
): number | undefined {
  const perLog = FOUR_GIB / checkedBytes(segmentBytes);
  return name.segment < perLog ? name.log * perLog + name.segment : undefined;
}

/** The segment behind `name` on the same timeline. @throws {RangeError} for a name that cannot be. */
export function nextSegmentName(name: WalSegmentName, segmentBytes: number): string {
  const number = numberOfName(name, segmentBytes);
  if (number !== undefined) return segmentName(name.timeline, number + 1, segmentBytes);
  throw new RangeError(`no segment of ${segmentBytes} bytes is called ${name.name}`);
}

function checkedBytes(segmentBytes: number): number {
  if (isWalSegmentBytes(segmentBytes)) return segmentBytes;
  throw new RangeError(
    `WAL segments of ${segmentBytes} bytes cannot be: a power of two from 1 MiB to 1 GiB`,
  );
}

function hex(digits: string): number {
  return Number.parseInt(digits, 16);
}

function hex8(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, "0");
}
