/**
 * What lies on other branches than the one that a recovery follows. PostgreSQL's latest timeline is
 * the one with the highest number: a promotion that was given up stays the latest for ever.
 *
 * @module
 */
import type { BackupManifest } from "../../catalog/catalog.ts";
import type { TimelineHistory } from "../../domain/timeline_history.ts";
import { timelineOwner } from "../../domain/timeline_path.ts";
import type { ArchiveView } from "./archive_view.ts";
import type { LogPath } from "./log_path.ts";
import type { Candidate } from "./reach_target.ts";
import type { RecoveryTarget } from "./recovery_target.ts";
import { isoTime, microsOf } from "./recovery_time.ts";
import { restorableWindows, type TimedWindow } from "./restorable_windows.ts";

/** Notes for a recovery along the latest timeline; who named a branch is told of no other. */
export function otherBranches(candidate: Candidate, path: LogPath): readonly string[] {
  const { target, timeline } = candidate.request;
  if (timeline !== "latest" || target.kind === "immediate") return [];
  const known = target.kind === "time" || target.kind === "lsn";
  return known ? sameMoment(candidate) : newerBranches(candidate, path);
}

/** The timelines with a window that `target` lies in, other than those that were tried. */
export function timelinesWith(
  view: ArchiveView,
  target: RecoveryTarget,
  { tried, backup }: {
    readonly tried: ReadonlySet<number>;
    /** The only one that may be started from. */
    readonly backup: BackupManifest | undefined;
  },
): readonly number[] {
  const found = restorableWindows(view).windows.filter((window) =>
    !tried.has(window.timeline) && holds(window, target) &&
    (!backup || window.backupIds.includes(backup.id))
  );
  return [...new Set(found.map(({ timeline }) => timeline))];
}

/** The same moment may lie on a branch that was left, or on one that this one never met. */
function sameMoment({ view, request: { target }, history }: Candidate): readonly string[] {
  const owner = target.kind === "lsn" ? timelineOwner(history, target.lsn) : undefined;
  const others = restorableWindows(view).windows.filter((window) => {
    if (window.timeline === owner || !holds(window, target)) return false;
    return target.kind === "lsn" || leftBehind(history, window);
  });
  const timelines = new Set(others.map(({ timeline }) => timeline));
  return [...timelines].map((timeline) =>
    `timeline ${timeline} holds that moment as well: --timeline ${timeline} restores it there`
  );
}

/** Branches that were archived longer: what was committed there is not on this one. */
function newerBranches(
  { view, history, backup }: Candidate,
  { endStoredAt }: LogPath,
): readonly string[] {
  const end = endStoredAt ?? new Date(backup.stoppedAt);
  const ends = new Map<number, Date>();
  for (const window of restorableWindows(view).windows) {
    if (!window.to || window.to <= end || !leftBehind(history, window)) continue;
    ends.set(window.timeline, window.to);
  }
  return [...ends].map(([timeline, to]) =>
    `timeline ${timeline} goes on until ${isoTime(microsOf(to))}, later than timeline ` +
    `${history.timeline}: --timeline ${timeline} follows it`
  );
}

function holds({ fromLsn, toLsn, from, to }: TimedWindow, target: RecoveryTarget): boolean {
  if (target.kind === "lsn") return fromLsn <= target.lsn && target.lsn < toLsn;
  if (target.kind !== "time" || !from || !to) return false;
  return microsOf(from) <= target.micros && target.micros <= microsOf(to);
}

/** Whether the window goes on where the history took another way. */
function leftBehind(
  history: TimelineHistory,
  { timeline, toLsn }: { readonly timeline: number; readonly toLsn: bigint },
): boolean {
  if (timeline === history.timeline) return false;
  const left = history.ancestors.find((ancestor) => ancestor.timeline === timeline);
  return left === undefined || toLsn > left.switchLsn;
}
