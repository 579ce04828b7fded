import type { BackupManifest } from "../../catalog/catalog.ts";
import { IntegrityError } from "../../domain/errors.ts";

type Link = Pick<BackupManifest, "id" | "parentId">;

/** The backup itself and every one that builds on it, at any distance, in the order of `backups`. */
export function dependents(id: string, backups: readonly Link[]): readonly string[] {
  const lost = new Set([id]);
  for (let size = 0; size < lost.size;) {
    size = lost.size;
    for (const { id: child, parentId } of backups) {
      if (parentId !== null && lost.has(parentId)) lost.add(child);
    }
  }
  const rest = backups.map((backup) => backup.id).filter((one) => one !== id && lost.has(one));
  return [id, ...rest];
}

/**
 * A backup and those that it builds on, the full one first.
 *
 * @throws {IntegrityError} when one of them is not there.
 */
export function chainOf<Backup extends Link>(
  backup: Backup,
  backups: readonly Backup[],
): readonly Backup[] {
  const chain = [backup];
  for (let last = backup; last.parentId !== null;) {
    const parent = backups.find(({ id }) => id === last.parentId);
    if (!parent || chain.includes(parent)) {
      throw new IntegrityError(
        `backup ${last.id} builds on ${last.parentId}, which is not there`,
        "it was removed, or its manifest cannot be read: restore another backup",
      );
    }
    chain.unshift(parent);
    last = parent;
  }
  return chain;
}
