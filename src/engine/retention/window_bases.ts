import { rootHistory, type TimelineHistory } from "../../domain/timeline_history.ts";
import { isOnHistory } from "../../domain/timeline_path.ts";
import { segmentNumber } from "../../domain/wal.ts";
import { byStopTime, isFromFuture } from "./backup_order.ts";
import type { BackupWal, PruneBackup, PruneSystem } from "./prune_model.ts";

/** A physical backup, whose place in the log is known. */
export type PhysicalBackup = PruneBackup & { readonly wal: BackupWal };

/**
 * The backups that the window since `from` begins with: for each timeline that was written to in
 * it, the newest one that ended before it and leads there, or else the oldest one that leads there.
 */
export function windowBases(
  system: PruneSystem,
  { from, now }: { readonly from: number; readonly now: number },
): readonly PhysicalBackup[] {
  const offered = byStopTime(system.backups).filter(isPhysical)
    .filter((backup) => !isFromFuture(backup, now));
  const bases = [...writtenTimelines(system, from)].flatMap(([timeline, last]) => {
    const history = historyOf(system, timeline);
    const leading = offered.filter((backup) => leadsTo(backup, history));
    const base = leading.findLast(({ stoppedAt }) => stoppedAt <= from) ?? leading[0];
    // Of a log that ends before it, it can use nothing.
    if (!base || last < segmentNumber(base.wal.startLsn, system.segmentBytes)) return [];
    return [base];
  });
  // Where nothing was archived in the window, it still begins with a backup.
  const always = offered.findLast(({ stoppedAt }) => stoppedAt <= from) ?? offered[0];
  return [...new Set(always ? [...bases, always] : bases)];
}

/**
 * The timelines of the log that was stored since `from`, each with its last segment. What was
 * stored last of all is among them: a server that had nothing to write is still on it.
 */
function writtenTimelines(system: PruneSystem, from: number): ReadonlyMap<number, number> {
  const written = new Map<number, number>();
  const since = Math.min(from, newestStored(system));
  for (const { timeline, last, storedAt } of system.wal) {
    if (storedAt !== undefined && storedAt < since) continue;
    written.set(timeline, Math.max(last, written.get(timeline) ?? 0));
  }
  return written;
}

/** When the newest piece of the log was stored, as far as it is known. */
export function newestStored({ wal }: PruneSystem): number {
  return wal.reduce((newest, { storedAt = newest }) => Math.max(newest, storedAt), -Infinity);
}

/** Whether recovery from `backup` can arrive on the history's own timeline. */
export function leadsTo({ wal }: PhysicalBackup, history: TimelineHistory): boolean {
  return isOnHistory(history, { timeline: wal.timeline, lsn: wal.stopLsn });
}

/** The history of a timeline; one without a file is taken for a root. */
export function historyOf({ histories }: PruneSystem, timeline: number): TimelineHistory {
  return histories.get(timeline) ?? rootHistory(timeline);
}

/** Whether `backup` has a place in the log. */
export function isPhysical(backup: PruneBackup): backup is PhysicalBackup {
  return backup.wal !== null;
}
