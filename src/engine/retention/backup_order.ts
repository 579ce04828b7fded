import type { PruneBackup } from "./prune_model.ts";

/** The clocks of hosts may differ by so much; what ended later than that has a wrong time. */
export const CLOCK_TOLERANCE_MS = 5 * 60_000;

/**
 * A backup and those below it, the full one last. Ends early where one is missing or the chain
 * goes round in a circle: {@link planPrune} has refused those.
 */
export function chainOf(
  backup: PruneBackup,
  all: ReadonlyMap<string, PruneBackup>,
): readonly PruneBackup[] {
  const chain = [backup];
  const seen = new Set([backup.id]);
  for (let at: PruneBackup | undefined = backup; at?.parentId !== null;) {
    at = at && all.get(at.parentId!);
    if (!at || seen.has(at.id)) break;
    seen.add(at.id);
    chain.push(at);
  }
  return chain;
}

/** The oldest first; of those that ended together, by name. */
export function byStopTime(backups: readonly PruneBackup[]): PruneBackup[] {
  return backups.toSorted((a, b) => a.stoppedAt - b.stoppedAt || (a.id < b.id ? -1 : 1));
}

/** A clock was wrong: it counts for nothing, and nothing is known of its age. */
export function isFromFuture({ stoppedAt }: PruneBackup, now: number): boolean {
  return stoppedAt > now + CLOCK_TOLERANCE_MS;
}
