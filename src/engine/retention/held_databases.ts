import type { BackupManifest } from "../../catalog/catalog.ts";
import type { HeldDatabases, PruneBackup } from "./prune_model.ts";

/**
 * What a logical backup's manifest tells of its databases. One that does not say whether it is of
 * all of them is taken for one of those that it names; without an identity a sealed one names none.
 */
export function heldDatabases(
  { allDatabases = false, databases, encryption }: BackupManifest,
): HeldDatabases {
  const isSealed = encryption?.sealed !== undefined;
  return {
    all: allDatabases,
    names: isSealed ? null : databases.map(({ name }) => name).sort(),
  };
}

/**
 * Whether `one` may stand in for `other`: it is certain to hold every database that `other` holds.
 * Of two that are of all databases each may: what the later one lacks was dropped before it.
 */
export function holdsAtLeast(one: PruneBackup, other: PruneBackup): boolean {
  if (one.method !== other.method) return false;
  if (one.method === "physical" || one.id === other.id) return true;
  if (one.databases?.all && other.databases?.all) return true;
  return holdsNames(one, other.databases?.names);
}

/** Whether each of `names` is known to be in a logical backup; null: nobody knows them. */
export function holdsNames(
  { databases }: PruneBackup,
  names: readonly string[] | null | undefined,
): boolean {
  if (!names || !databases?.names) return false;
  const held = new Set(databases.names);
  return names.every((name) => held.has(name));
}
