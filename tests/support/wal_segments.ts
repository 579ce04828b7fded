/** WAL segments made by hand: a true first page header, and content that compresses as WAL does. */
import { type Bytes, MiB } from "../../src/domain/bytes.ts";
import { segmentName, segmentStart } from "../../src/domain/wal.ts";

/** XLOG_PAGE_MAGIC by major version. */
export const PAGE_MAGIC = {
  13: 0xd106,
  14: 0xd10d,
  15: 0xd110,
  16: 0xd113,
  17: 0xd116,
  18: 0xd118,
} as const;

/** What to make. */
export interface SegmentOptions {
  /** @default {1} */
  readonly timeline?: number;
  /** @default {1} */
  readonly number?: number;
  /** @default {MiB} */
  readonly segmentBytes?: number;
  /** @default {TEST_SYSTEM} */
  readonly systemIdentifier?: string;
  /** @default {15} */
  readonly major?: keyof typeof PAGE_MAGIC;
  /** Different seeds, different content. @default {1} */
  readonly seed?: number;
  /** How much of it is filled; the rest is zero. @default {1} */
  readonly filled?: number;
}

/** The system of segments that name no other. */
export const TEST_SYSTEM = "7345678901234567890";

/** A segment and its file name. */
export interface MadeSegment {
  readonly name: string;
  readonly bytes: Bytes;
}

/** Makes a segment. */
export function makeSegment(options: SegmentOptions = {}): MadeSegment {
  const { timeline = 1, number = 1, segmentBytes = MiB, major = 15, seed = 1, filled = 1 } =
    options;
  const bytes = new Uint8Array(segmentBytes);
  fill(bytes.subarray(0, Math.floor(segmentBytes * filled)), seed);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, PAGE_MAGIC[major], true);
  view.setUint16(2, 0x0006, true);
  view.setUint32(4, timeline, true);
  view.setBigUint64(8, segmentStart(number, segmentBytes), true);
  view.setBigUint64(16, 0n, true);
  view.setBigUint64(24, BigInt(options.systemIdentifier ?? TEST_SYSTEM), true);
  view.setUint32(32, segmentBytes, true);
  view.setUint32(36, 8192, true);
  return { name: segmentName(timeline, number, segmentBytes), bytes };
}

/** Words of which every other byte repeats: about a third of the size when compressed. */
function fill(bytes: Bytes, seed: number): void {
  let state = seed * 2654435761 + 1 >>> 0;
  for (let at = 0; at < bytes.length; at++) {
    if (at % 16 > 5) continue;
    state = Math.imul(state ^ state >>> 15, 2246822519) + at >>> 0;
    bytes[at] = state >>> 24;
  }
}
