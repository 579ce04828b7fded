import type { RetentionPolicy } from "../../domain/retention_policy.ts";
import { segmentNumber } from "../../domain/wal.ts";
import { byStopTime, isFromFuture } from "./backup_order.ts";
import type { PruneSystem, WalPiece } from "./prune_model.ts";
import {
  historyOf,
  isPhysical,
  leadsTo,
  newestStored,
  type PhysicalBackup,
} from "./window_bases.ts";

/** A timeline that no kept backup leads to may be a new one, whose first backup is under way. */
const UNKNOWN_BRANCH_GRACE_MS = 7 * 86_400_000;

/** What branches are strange to. */
export interface BranchOptions {
  /** Those that stay. */
  readonly physical: readonly PhysicalBackup[];
  readonly policy: RetentionPolicy;
  readonly now: number;
}

/** A timeline that was written to lately, and the newest backup that recovery to it starts from. */
export interface BranchBase {
  readonly timeline: number;
  readonly backup: PhysicalBackup;
}

/**
 * Pieces that lie on no way that leads to or from a kept backup and were written lately: a branch
 * that began after a recovery to an earlier moment, of which there is no backup yet. What was
 * written last of all is never too old for that: it may be a server that has little to do.
 */
export function strangeBranches(
  system: PruneSystem,
  { physical, policy, now }: BranchOptions,
): (piece: WalPiece) => boolean {
  const { segmentBytes } = system;
  const grace = Math.max(policy.pitrWindow ?? 0, UNKNOWN_BRANCH_GRACE_MS);
  /** The segment in which each timeline was last on a way to a kept backup. */
  const known = new Map<number, number>();
  for (const { wal: { timeline, stopLsn } } of physical) {
    known.set(timeline, Infinity);
    for (const ancestor of historyOf(system, timeline).ancestors) {
      const left = segmentNumber(
        ancestor.switchLsn < stopLsn ? ancestor.switchLsn : stopLsn,
        segmentBytes,
      );
      known.set(ancestor.timeline, Math.max(left, known.get(ancestor.timeline) ?? 0));
    }
  }
  const newest = new Map<number, number>();
  for (const { timeline, storedAt = now } of system.wal) {
    newest.set(timeline, Math.max(storedAt, newest.get(timeline) ?? 0));
  }
  const since = Math.min(now - grace, newestStored(system));
  return ({ timeline, last }) =>
    last > (known.get(timeline) ?? -1) && (newest.get(timeline) ?? now) >= since;
}

/** For each strange branch that none of those that stay leads to, the newest backup that does. */
export function branchBases(system: PruneSystem, options: BranchOptions): readonly BranchBase[] {
  const isStrange = strangeBranches(system, options);
  const offered = byStopTime(system.backups).filter(isPhysical)
    .filter((backup) => !isFromFuture(backup, options.now));
  const ends = new Map<number, number>();
  for (const piece of system.wal.filter(isStrange)) {
    ends.set(piece.timeline, Math.max(piece.last, ends.get(piece.timeline) ?? 0));
  }
  return [...ends].flatMap(([timeline, last]) => {
    const history = historyOf(system, timeline);
    const isBase = (backup: PhysicalBackup) =>
      leadsTo(backup, history) && segmentNumber(backup.wal.startLsn, system.segmentBytes) <= last;
    if (options.physical.some(isBase)) return [];
    const backup = offered.findLast(isBase);
    return backup ? [{ timeline, backup }] : [];
  });
}
