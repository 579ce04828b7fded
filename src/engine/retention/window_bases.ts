import { isOnHistory, rootHistory, type TimelineHistory } from "../../domain/timeline_history.ts";
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
  const bases = [...writtenTimelines(system, { from, offered })].flatMap((timeline) => {
    const history = historyOf(system, timeline);
    const leading = offered.filter((backup) => leadsTo(backup, history));
    return leading.findLast(({ stoppedAt }) => stoppedAt <= from) ?? leading.slice(0, 1);
  });
  return [...new Set(bases)];
}

/** Those of the log, and the one that the newest backup is on. */
function writtenTimelines(
  { wal }: PruneSystem,
  { from, offered }: { readonly from: number; readonly offered: readonly PhysicalBackup[] },
): ReadonlySet<number> {
  const written = wal.filter(({ storedAt }) => storedAt === undefined || storedAt >= from);
  const newest = offered.at(-1);
  return new Set([
    ...written.map(({ timeline }) => timeline),
    ...(newest ? [newest.wal.timeline] : []),
  ]);
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
