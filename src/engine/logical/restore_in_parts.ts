import type { BackupManifest } from "../../catalog/catalog.ts";
import type { RestoreParts } from "../parts.ts";
import type { DatabaseDump, DumpObject } from "./database_dumps.ts";
import { mapUntilFailure } from "./map_until_failure.ts";
import type { RestoreComplaints } from "./restore_complaints.ts";
import { type DatabaseTarget, restoreDatabase } from "./restore_database.ts";
import { fitsSpool } from "./spool_dump.ts";

/** A dump that is in parts. */
type PartedDump = Extract<DatabaseDump, { readonly before: DumpObject }>;

/**
 * Restores a dump in parts: what comes before the data, then the data in several streams straight
 * from the store, then what comes behind it. Indexes and keys take the most of that, so this part is
 * brought into a temporary file, which pg_restore can read with several jobs; it holds no data.
 *
 * @throws {IntegrityError} when an object is damaged, with the database left half filled.
 */
export async function restoreInParts(
  parts: RestoreParts,
  { backup, dump, signal }: {
    readonly backup: BackupManifest;
    readonly dump: PartedDump;
    readonly signal?: AbortSignal;
  },
  target: DatabaseTarget,
): Promise<RestoreComplaints> {
  const abort = signal ? { signal } : {};
  const before = await restoreDatabase(parts, { backup, object: dump.before, ...abort }, {
    ...target,
    spool: false,
  });
  if (before.gaveUp) return before;
  const filled = { ...target, create: false, spool: false };
  const largestFirst = dump.data.toSorted((a, b) => b.rawBytes - a.rawBytes);
  const data = await mapUntilFailure(largestFirst, {
    ...{ limit: Math.max(1, target.jobs), signal },
    map: (object, signal) => restoreDatabase(parts, { backup, object, signal }, filled),
  });
  // pg_restore takes nothing of a table that comes behind its data when the table is named.
  if (target.tables) return together([before, ...data]);
  const spool = target.jobs > 1 && await fitsSpool(dump.after.rawBytes);
  const behind = { backup, object: dump.after, ...abort };
  const after = await restoreDatabase(parts, behind, { ...filled, spool });
  return together([before, ...data, after]);
}

function together(all: readonly RestoreComplaints[]): RestoreComplaints {
  return {
    errors: all.flatMap(({ errors }) => errors),
    gaveUp: all.some(({ gaveUp }) => gaveUp),
  };
}
