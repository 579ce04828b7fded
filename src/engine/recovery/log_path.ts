import type { Lsn } from "../../domain/lsn.ts";
import type { TimelineHistory } from "../../domain/timeline_history.ts";
import { timelineStart } from "../../domain/timeline_history.ts";
import { timelineOfSegment } from "../../domain/timeline_path.ts";
import { segmentName, segmentNumber } from "../../domain/wal.ts";
import type { WalGap } from "../../domain/wal_windows.ts";
import type { ArchiveView, SegmentRun } from "./archive_view.ts";

/** The segments that a recovery would read, in a row. */
export interface LogPath {
  readonly first: number;
  /** `first - 1` when not even the first one is there. */
  readonly last: number;
  /** When the last one was stored; undefined when there is none or the store does not tell. */
  readonly endStoredAt: Date | undefined;
  /** What is missing behind `last`, when the archive goes on behind that. */
  readonly gap: WalGap | undefined;
}

/** A timeline that a history has left, and where. */
export interface Astray {
  /** Absent under the history's own name. */
  readonly segment: string;
  readonly timeline: number;
  /** What it wrote from here on is none of the history's. */
  readonly switchLsn: Lsn;
}

/** The part of the log that one timeline gives to a history, in segments, both ends included. */
interface Stretch {
  readonly timeline: number;
  readonly first: number;
  readonly last: number;
}

/** Follows the log along `history` from segment `first` on, as far as the archive reaches. */
export function walkLog(view: ArchiveView, history: TimelineHistory, first: number): LogPath {
  let next = first;
  let endStoredAt: Date | undefined;
  for (;;) {
    const run = runAt(view, history, next);
    if (!run) break;
    endStoredAt = run.lastStoredAt;
    next = run.last + 1;
  }
  const behind = nextArchived(view, history, next);
  const gap = behind === undefined ? undefined : gapBefore(view, history, { next, behind });
  return { first, last: next - 1, endStoredAt, gap };
}

/**
 * The timeline that PostgreSQL would go on with behind the end of a path: where a segment is absent,
 * it takes one of that number of any older timeline of the history, down to the one that it reads,
 * and all of that. src/backend/access/transam/xlogrecovery.c, XLogFileReadAnyTLI
 */
export function astrayBehind(
  view: ArchiveView,
  history: TimelineHistory,
  { last, timeline }: {
    readonly last: number;
    /** That the backup is on. */
    readonly timeline: number;
  },
): Astray | undefined {
  const next = last + 1;
  const wanted = timelineOfSegment(history, next, view.segmentBytes);
  const reading = Math.max(timeline, timelineOfSegment(history, last, view.segmentBytes));
  const found = history.ancestors.findLast((older) =>
    reading <= older.timeline && older.timeline < wanted &&
    view.runs.get(older.timeline)?.some((run) => run.first <= next && next <= run.last)
  );
  if (!found) return undefined;
  const { timeline: other, switchLsn } = found;
  return { segment: segmentName(wanted, next, view.segmentBytes), timeline: other, switchLsn };
}

/** About how many stored bytes the segments from `first` to `last` along `history` are. */
export function storedBytesBetween(
  view: ArchiveView,
  history: TimelineHistory,
  { first, last }: { readonly first: number; readonly last: number },
): number {
  let bytes = 0;
  for (const stretch of stretches(view, history)) {
    for (const run of view.runs.get(stretch.timeline) ?? []) {
      const from = Math.max(first, stretch.first, run.first);
      const to = Math.min(last, stretch.last, run.last);
      if (to >= from) bytes += run.bytes * (to - from + 1) / (run.last - run.first + 1);
    }
  }
  return Math.round(bytes);
}

/** The run that `number` is in, cut where the next timeline takes over. */
function runAt(
  view: ArchiveView,
  history: TimelineHistory,
  number: number,
): SegmentRun | undefined {
  const timeline = timelineOfSegment(history, number, view.segmentBytes);
  const run = view.runs.get(timeline)?.find((run) => run.first <= number && number <= run.last);
  if (!run) return undefined;
  const last = lastOf(view, history, timeline);
  if (run.last <= last) return run;
  return { ...run, last, lastStoredAt: earlier(run.lastStoredAt, leftAt(view, history, timeline)) };
}

/** By when the history had left `timeline`: what that went on to archive tells nothing of it. */
function leftAt(view: ArchiveView, history: TimelineHistory, timeline: number): Date | undefined {
  const timelines = [...history.ancestors.map(({ timeline }) => timeline), history.timeline];
  const next = timelines[timelines.indexOf(timeline) + 1];
  return next === undefined ? undefined : view.histories.get(next)?.storedAt;
}

function earlier(one: Date | undefined, other: Date | undefined): Date | undefined {
  return one && other && other < one ? other : one;
}

/** The last segment that recovery asks for under the name of `timeline`. */
function lastOf(view: ArchiveView, history: TimelineHistory, timeline: number): number {
  const left = history.ancestors.find((ancestor) => ancestor.timeline === timeline);
  return left ? segmentNumber(left.switchLsn, view.segmentBytes) - 1 : Number.MAX_SAFE_INTEGER;
}

function stretches(view: ArchiveView, history: TimelineHistory): readonly Stretch[] {
  const timelines = [...history.ancestors.map(({ timeline }) => timeline), history.timeline];
  return timelines.map((timeline) => ({
    timeline,
    first: segmentNumber(timelineStart(history, timeline)!, view.segmentBytes),
    last: lastOf(view, history, timeline),
  }));
}

/** The least archived segment from `next` on that belongs to the history. */
function nextArchived(
  view: ArchiveView,
  history: TimelineHistory,
  next: number,
): number | undefined {
  let least: number | undefined;
  for (const stretch of stretches(view, history)) {
    for (const run of view.runs.get(stretch.timeline) ?? []) {
      const from = Math.max(next, stretch.first, run.first);
      if (from > Math.min(stretch.last, run.last)) continue;
      if (least === undefined || from < least) least = from;
    }
  }
  return least;
}

function gapBefore(
  view: ArchiveView,
  history: TimelineHistory,
  { next, behind }: { readonly next: number; readonly behind: number },
): WalGap {
  const timeline = timelineOfSegment(history, next, view.segmentBytes);
  return {
    timeline,
    first: next,
    last: Math.min(behind - 1, lastOf(view, history, timeline)),
  };
}
