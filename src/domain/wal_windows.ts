/**
 * Which moments an archive can restore: pure functions over the names of what is there. Status,
 * restore and prune all decide by them.
 *
 * @module
 */
import type { Lsn } from "./lsn.ts";
import type { TimelineHistory } from "./timeline_history.ts";
import { rootHistory, timelineStart } from "./timeline_history.ts";
import { isOnHistory, timelineOfSegment } from "./timeline_path.ts";
import { lastSegmentNumber, segmentNumber, segmentStart } from "./wal.ts";

/** A whole segment that is in the archive. */
export interface ArchivedSegment {
  readonly timeline: number;
  readonly number: number;
}

/** What matters of a physical backup here. */
export interface WalBackup {
  readonly id: string;
  /** The one that it ended on. */
  readonly timeline: number;
  readonly startLsn: Lsn;
  readonly stopLsn: Lsn;
  /** It holds the WAL from start to stop itself. */
  readonly includesWal: boolean;
}

/** What an archive holds. In any order; doubles do no harm. */
export interface WalArchive {
  readonly segmentBytes: number;
  readonly segments: Iterable<ArchivedSegment>;
  readonly histories: Iterable<TimelineHistory>;
  readonly backups: Iterable<WalBackup>;
}

/** Positions of one timeline that can be restored to: from `fromLsn` up to before `toLsn`. */
export interface RestorableWindow {
  readonly timeline: number;
  readonly fromLsn: Lsn;
  readonly toLsn: Lsn;
  /** The backups that recovery can start from, by stop position. */
  readonly backupIds: readonly string[];
}

/** Segments that are needed and absent; `first` and `last` are numbers, both included. */
export interface WalGap {
  readonly timeline: number;
  readonly first: number;
  readonly last: number;
}

/** One timeline of an archive. */
export interface TimelineCoverage {
  readonly timeline: number;
  readonly windows: readonly RestorableWindow[];
  /** Those that a backup in the archive could be replayed into, were they there. */
  readonly gaps: readonly WalGap[];
  /** The numbers of the first and the last segment that are there. */
  readonly segments: { readonly first: number; readonly last: number } | undefined;
}

/** Segments in a row, both ends included. */
interface Run {
  readonly first: number;
  readonly last: number;
}

interface Survey {
  readonly segmentBytes: number;
  readonly runs: ReadonlyMap<number, readonly Run[]>;
  readonly histories: ReadonlyMap<number, TimelineHistory>;
  readonly backups: readonly WalBackup[];
}

/** The windows and gaps of every timeline, by its number. */
export function coverTimelines(archive: WalArchive): readonly TimelineCoverage[] {
  const survey = surveyOf(archive);
  const timelines = new Set([
    ...survey.runs.keys(),
    ...survey.histories.keys(),
    ...survey.backups.map((backup) => backup.timeline),
  ]);
  return [...timelines].sort((a, b) => a - b).map((timeline) => {
    const history = historyOf(survey, timeline);
    const runs = survey.runs.get(timeline);
    return {
      timeline,
      windows: windowsOf(survey, history),
      gaps: gapsOf(survey, history),
      segments: runs && { first: runs[0]!.first, last: runs.at(-1)!.last },
    };
  });
}

/**
 * The segments that recovery asks for along a history, from the one that holds `fromLsn` to the
 * one that holds the byte before `toLsn`.
 */
export function segmentsBetween(
  history: TimelineHistory,
  { fromLsn, toLsn, segmentBytes }: {
    readonly fromLsn: Lsn;
    readonly toLsn: Lsn;
    readonly segmentBytes: number;
  },
): readonly ArchivedSegment[] {
  const first = segmentNumber(fromLsn, segmentBytes);
  const last = Math.max(first, lastSegmentNumber(toLsn, segmentBytes));
  return Array.from({ length: last - first + 1 }, (_, index) => {
    const number = first + index;
    return { timeline: timelineOfSegment(history, number, segmentBytes), number };
  });
}

function surveyOf({ segmentBytes, segments, histories, backups }: WalArchive): Survey {
  const runs = new Map<number, Run[]>();
  for (const { timeline, number } of segments) {
    const known = runs.get(timeline) ?? [];
    if (known.length === 0) runs.set(timeline, known);
    appendTo(known, number);
  }
  return {
    segmentBytes,
    runs: new Map([...runs].map(([timeline, known]) => [timeline, mergedRuns(known)])),
    histories: new Map([...histories].map((history) => [history.timeline, history])),
    backups: [...backups].sort((a, b) => a.stopLsn < b.stopLsn ? -1 : 1),
  };
}

/** In the order of a listing this keeps one entry for a row of any length. */
function appendTo(runs: Run[], number: number): void {
  const last = runs.at(-1);
  if (last && number === last.last + 1) runs[runs.length - 1] = { first: last.first, last: number };
  else runs.push({ first: number, last: number });
}

function mergedRuns(runs: readonly Run[]): readonly Run[] {
  const merged: Run[] = [];
  for (const run of runs.toSorted((a, b) => a.first - b.first)) {
    const before = merged.at(-1);
    if (!before || run.first > before.last + 1) {
      merged.push(run);
      continue;
    }
    const last = Math.max(before.last, run.last);
    merged[merged.length - 1] = { first: before.first, last };
  }
  return merged;
}

function historyOf(survey: Survey, timeline: number): TimelineHistory {
  return survey.histories.get(timeline) ?? rootHistory(timeline);
}

/** The number of the first segment of the history's own timeline. */
function ownFirst(survey: Survey, history: TimelineHistory): number {
  return segmentNumber(timelineStart(history, history.timeline)!, survey.segmentBytes);
}

/** The last segment in a row from `first` on, as recovery along `history` asks for them. */
function lastInRow(survey: Survey, history: TimelineHistory, first: number): number {
  let next = first;
  while (true) {
    const timeline = timelineOfSegment(history, next, survey.segmentBytes);
    const run = survey.runs.get(timeline)?.find((run) => run.first <= next && next <= run.last);
    if (!run) return next - 1;
    const child = history.ancestors.find((ancestor) => ancestor.timeline === timeline);
    if (!child) return run.last;
    next = Math.min(run.last + 1, segmentNumber(child.switchLsn, survey.segmentBytes));
  }
}

function windowsOf(survey: Survey, history: TimelineHistory): readonly RestorableWindow[] {
  const windows = new Map<Lsn, { fromLsn: Lsn; backupIds: string[] }>();
  const start = timelineStart(history, history.timeline)!;
  for (const backup of backupsOf(survey, history)) {
    const toLsn = reach(survey, history, backup);
    if (toLsn === undefined) continue;
    const fromLsn = backup.stopLsn > start ? backup.stopLsn : start;
    const window = windows.get(toLsn);
    if (window) window.backupIds.push(backup.id);
    if (!window) windows.set(toLsn, { fromLsn, backupIds: [backup.id] });
  }
  return [...windows].map(([toLsn, { fromLsn, backupIds }]) => ({
    ...{ timeline: history.timeline, fromLsn, toLsn, backupIds },
  }));
}

/** Those that recovery to the history's own timeline may start from. */
function backupsOf(survey: Survey, history: TimelineHistory): readonly WalBackup[] {
  return survey.backups.filter(({ timeline, stopLsn }) =>
    isOnHistory(history, { timeline, lsn: stopLsn })
  );
}

/** How far a backup can be rolled forward on the history's own timeline; undefined: not at all. */
function reach(survey: Survey, history: TimelineHistory, backup: WalBackup): Lsn | undefined {
  const { segmentBytes } = survey;
  const stop = lastSegmentNumber(backup.stopLsn, segmentBytes);
  const first = backup.includesWal ? stop + 1 : segmentNumber(backup.startLsn, segmentBytes);
  const last = lastInRow(survey, history, first);
  const alone = backup.includesWal && last === stop;
  if (last < stop) return undefined;
  if (alone) return backup.timeline === history.timeline ? backup.stopLsn : undefined;
  return last < ownFirst(survey, history) ? undefined : segmentStart(last + 1, segmentBytes);
}

function gapsOf(survey: Survey, history: TimelineHistory): readonly WalGap[] {
  const { timeline } = history;
  const runs = survey.runs.get(timeline) ?? [];
  const last = neededLast(survey, timeline);
  let next = neededFirst(survey, history);
  if (next === undefined || last === undefined) return [];
  const gaps: WalGap[] = [];
  for (const run of [...runs, { first: last + 1, last }]) {
    if (run.first > next && next <= last) {
      gaps.push({ timeline, first: next, last: Math.min(run.first - 1, last) });
    }
    next = Math.max(next, run.last + 1);
  }
  return gaps;
}

/** The first segment that some backup needs of the timeline, or else the first that is there. */
function neededFirst(survey: Survey, history: TimelineHistory): number | undefined {
  const own = ownFirst(survey, history);
  const starts = backupsOf(survey, history).map(({ includesWal, startLsn, stopLsn }) =>
    includesWal
      ? lastSegmentNumber(stopLsn, survey.segmentBytes) + 1
      : segmentNumber(startLsn, survey.segmentBytes)
  );
  if (starts.length === 0) return survey.runs.get(history.timeline)?.[0]?.first;
  return Math.max(own, Math.min(...starts));
}

/** The last segment that is there, or that a later timeline with segments grew out of. */
function neededLast(survey: Survey, timeline: number): number | undefined {
  const ends = [...survey.runs].flatMap(([other, runs]) => {
    if (other === timeline) return [runs.at(-1)!.last];
    const ancestors = historyOf(survey, other).ancestors;
    const ancestor = ancestors.find((ancestor) => ancestor.timeline === timeline);
    return ancestor ? [segmentNumber(ancestor.switchLsn, survey.segmentBytes) - 1] : [];
  });
  return ends.length === 0 ? undefined : Math.max(...ends);
}
