/** What a history answers to who follows the log along it. */
import type { Lsn } from "./lsn.ts";
import { type TimelineHistory, timelineStart } from "./timeline_history.ts";
import { segmentNumber } from "./wal.ts";

/** Which timeline of the history owns the byte at `lsn`. */
export function timelineOwner(history: TimelineHistory, lsn: Lsn): number {
  const owner = history.ancestors.find((ancestor) => lsn < ancestor.switchLsn);
  return owner?.timeline ?? history.timeline;
}

/**
 * Whether a log that follows this history passes through `lsn` of `timeline`: recovery can start
 * there and arrive here.
 */
export function isOnHistory(
  history: TimelineHistory,
  { timeline, lsn }: { readonly timeline: number; readonly lsn: Lsn },
): boolean {
  const start = timelineStart(history, timeline);
  if (start === undefined || lsn < start) return false;
  const end = history.ancestors.find((ancestor) => ancestor.timeline === timeline)?.switchLsn;
  return end === undefined || lsn <= end;
}

/**
 * Under which timeline's name recovery asks for segment `number`: the newest one that has begun in
 * it or before. The segment that holds a switch exists under both names, the newer one counts.
 */
export function timelineOfSegment(
  history: TimelineHistory,
  number: number,
  segmentBytes: number,
): number {
  const owner = history.ancestors.find((ancestor) =>
    number < segmentNumber(ancestor.switchLsn, segmentBytes)
  );
  return owner?.timeline ?? history.timeline;
}
