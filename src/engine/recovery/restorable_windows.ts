/**
 * The moments that an archive can restore, in times as well as in positions.
 *
 * The repository knows when backups ended and when segments were stored, not when transactions
 * committed: `from` is exact, `to` is no earlier than the last commit that can be restored.
 *
 * @module
 */
import { formatLsn } from "../../domain/lsn.ts";
import { lastSegmentNumber, segmentName } from "../../domain/wal.ts";
import type { RestorableWindow, WalGap } from "../../domain/wal_windows.ts";
import { coverTimelines } from "../../domain/wal_windows.ts";
import type { ArchiveView } from "./archive_view.ts";
import { walArchive, walBackup } from "./archive_view.ts";
import { isoTime, microsOf } from "./recovery_time.ts";

/** A window with the times that are known of it. */
export interface TimedWindow extends RestorableWindow {
  readonly from: Date | undefined;
  readonly to: Date | undefined;
  /** Whether nothing of the timeline is archived behind it: it is still growing, or ended there. */
  readonly open: boolean;
}

/** Segments that are needed and absent, by their names. */
export interface NamedGap {
  /** Under whose name they are missing. */
  readonly timeline: number;
  /** The first one. */
  readonly fromWal: string;
  /** The last one; the same when only one is missing. */
  readonly toWal: string;
}

/** The windows of an archive, by timeline and position, and the gaps between them. */
export interface Restorable {
  readonly windows: readonly TimedWindow[];
  readonly gaps: readonly NamedGap[];
}

/** More windows than that help nobody who reads a message. */
const SHOWN_WINDOWS = 6;

/** Computes the windows and gaps of `view`. */
export function restorableWindows(view: ArchiveView): Restorable {
  const coverage = coverTimelines(walArchive(view));
  const found = coverage.flatMap(({ windows }) => windows);
  const windows = [...found, ...ownMoments(view, found)]
    .sort((a, b) => a.timeline - b.timeline || Number(a.fromLsn - b.fromLsn));
  return {
    windows: windows.map((window) => timed(view, window)),
    gaps: coverage.flatMap(({ gaps }) => gaps.map((gap) => namedGap(gap, view.segmentBytes))),
  };
}

/** Backups that cannot be rolled forward restore their own end, of which they hold the WAL. */
function ownMoments(
  view: ArchiveView,
  windows: readonly RestorableWindow[],
): readonly RestorableWindow[] {
  const rolled = new Set(windows.flatMap(({ backupIds }) => backupIds));
  return view.backups.filter(({ id }) => !rolled.has(id)).map(walBackup)
    .map(({ id, timeline, stopLsn }) => ({
      ...{ timeline, fromLsn: stopLsn, toLsn: stopLsn, backupIds: [id] },
    }));
}

/** A gap by the names of its first and last segment. */
export function namedGap({ timeline, first, last }: WalGap, segmentBytes: number): NamedGap {
  return {
    timeline,
    fromWal: segmentName(timeline, first, segmentBytes),
    toWal: segmentName(timeline, last, segmentBytes),
  };
}

/** `timeline 1 from 2026-11-01T02:10:11Z (0/3000100) to …`, several joined, for messages. */
export function describeWindows(windows: readonly TimedWindow[]): string {
  if (windows.length === 0) return "no moment at all";
  const shown = windows.slice(-SHOWN_WINDOWS).map(describeWindow);
  const more = windows.length - shown.length;
  return [...(more > 0 ? [`${more} older windows`] : []), ...shown].join("; ");
}

function describeWindow({ timeline, fromLsn, toLsn, from, to }: TimedWindow): string {
  const start = `${timeText(from)}${formatLsn(fromLsn)}`;
  if (fromLsn === toLsn) return `timeline ${timeline} at ${start}`;
  return `timeline ${timeline} from ${start} to ${timeText(to)}${formatLsn(toLsn)}`;
}

/** To the millisecond: who asks for the very moment that is named must get it. */
function timeText(time: Date | undefined): string {
  return time ? `${isoTime(microsOf(time))} = ` : "";
}

function timed(view: ArchiveView, window: RestorableWindow): TimedWindow {
  const runs = view.runs.get(window.timeline) ?? [];
  const last = lastSegmentNumber(window.toLsn, view.segmentBytes);
  const run = runs.find((run) => run.first <= last && last <= run.last);
  const backups = view.backups.filter(({ id }) => window.backupIds.includes(id));
  const own = backups.find(({ timeline }) => timeline === window.timeline) ?? backups[0];
  const starts = startOf(view, window);
  const alone = window.fromLsn === window.toLsn;
  return {
    ...window,
    from: starts ?? (own && new Date(own.stoppedAt)),
    to: alone ? own && new Date(own.stoppedAt) : run?.lastStoredAt,
    open: !runs.some((run) => run.first > last),
  };
}

/** When a timeline began, for a window that begins with it. */
function startOf(view: ArchiveView, { timeline, fromLsn }: RestorableWindow): Date | undefined {
  const stored = view.histories.get(timeline);
  const parent = stored?.history.ancestors.at(-1);
  return parent?.switchLsn === fromLsn ? stored?.storedAt : undefined;
}
