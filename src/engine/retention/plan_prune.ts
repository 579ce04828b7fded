import { IntegrityError } from "../../domain/errors.ts";
import { byStopTime, chainOf } from "./backup_order.ts";
import { chooseKept } from "./choose_kept.ts";
import { walJudge } from "./judge_wal.ts";
import type {
  KeptBackup,
  PruneBackup,
  PruneInput,
  PrunePlan,
  PruneSystem,
  RemovedBackup,
  WalPiece,
} from "./prune_model.ts";

/**
 * Says what stays and what goes, and why: a pure function of what the store lists. History files
 * always stay; `.backup` and `.partial` files go with the segment that they are named for.
 *
 * @throws {IntegrityError} when a backup builds on one that is not there: then the listing is not
 *   complete, or the repository is damaged, and nothing can be said.
 */
export function planPrune({ systems, policy, now }: PruneInput): PrunePlan {
  const ordered = systems.toSorted((a, b) => a.systemIdentifier < b.systemIdentifier ? -1 : 1);
  const plans = ordered.map((system) => {
    refuseBrokenChains(system);
    const reasons = chooseKept(system, { policy, now });
    const kept = new Set(reasons.keys());
    const { systemIdentifier } = system;
    const judge = walJudge(system, { kept, policy, now });
    return {
      keep: byStopTime(system.backups).filter(({ id }) => kept.has(id))
        .map((backup): KeptBackup => ({
          ...{ systemIdentifier, backup, reasons: reasons.get(backup.id)! },
        })),
      remove: inOrderOfRemoval(system.backups.filter(({ id }) => !kept.has(id)))
        .map((backup): RemovedBackup => ({
          ...{ systemIdentifier, backup, reason: "no rule keeps it" },
        })),
      wal: byPlace(system.wal).map((piece) => ({ ...piece, systemIdentifier, ...judge(piece) })),
      sideFiles: (system.sideFiles ?? []).filter((file) => !judge(file).keep),
    };
  });
  return {
    keep: plans.flatMap(({ keep }) => keep),
    remove: plans.flatMap(({ remove }) => remove),
    wal: plans.flatMap(({ wal }) => wal),
    sideFiles: plans.flatMap(({ sideFiles }) => sideFiles),
  };
}

function byPlace(wal: readonly WalPiece[]): readonly WalPiece[] {
  return wal.toSorted((a, b) => a.timeline - b.timeline || a.first - b.first);
}

function refuseBrokenChains({ backups, systemIdentifier }: PruneSystem): void {
  const all = new Map(backups.map((backup) => [backup.id, backup]));
  for (const backup of backups) {
    const lowest = chainOf(backup, all).at(-1)!;
    if (lowest.parentId === null) continue;
    const missing = all.has(lowest.parentId)
      ? `its chain goes round in a circle at ${lowest.parentId}`
      : `${lowest.id} builds on ${lowest.parentId}, which is not there`;
    throw new IntegrityError(
      `backup ${backup.id} of system ${systemIdentifier} cannot be restored: ${missing}`,
      `is the listing complete? if ${lowest.parentId} is lost for good, remove what was built ` +
        `on it: "backupctl delete --backup-id ${lowest.id} --force"`,
    );
  }
}

/** What builds on another goes first, so that a crash in between leaves only whole chains. */
export function inOrderOfRemoval(backups: readonly PruneBackup[]): readonly PruneBackup[] {
  const all = new Map(backups.map((backup) => [backup.id, backup]));
  const depths = new Map(backups.map((backup) => [backup.id, chainOf(backup, all).length]));
  return byStopTime(backups).toSorted((a, b) => depths.get(b.id)! - depths.get(a.id)!);
}
