import { isOver, listLeases, type StoredLease } from "../../catalog/lease_list.ts";
import type { BackupNotes } from "../../catalog/backup_notes.ts";
import { NoteBook, type NoteOptions } from "../../catalog/backup_notes.ts";
import { type BackupManifest, wholeChains } from "../../catalog/catalog.ts";
import { type BackupChecks, readChecks } from "../../catalog/checks.ts";
import { BackupctlError } from "../../domain/errors.ts";
import type { ObjectStore, ReadOptions } from "../../storage/storage.ts";

/** What became known of a backup after it was taken. */
export interface BackupFacts {
  readonly checks: BackupChecks | undefined;
  readonly notes: BackupNotes | undefined;
  /** An increment of which something that it is built on is missing. */
  readonly broken: boolean;
}

/** What stands beside the backups in a repository. */
export interface Surroundings {
  readonly factsOf: (backup: Pick<BackupManifest, "systemIdentifier" | "id">) => BackupFacts;
  /** Those that have not run out. */
  readonly leases: readonly StoredLease[];
  /** What could not be read, for people. */
  readonly troubles: readonly string[];
}

/**
 * `damaged`: a verification found stored bytes that are not what was written. `broken chain`: what
 * an increment is built on is missing. Neither can be restored.
 */
export type BackupState = "ok" | "complete with damage" | "damaged" | "broken chain";

/** Stores count in whole seconds, and clocks differ a little. */
const GRACE_MS = 5000;

/**
 * Reads checks, notes and leases. What cannot be read is told and left out: none of it is worth
 * hiding the backups for.
 */
export async function readSurroundings(
  store: ObjectStore,
  { cluster, backups, now, opener, ...reading }: ReadOptions & {
    readonly cluster: string;
    /** Opens encrypted annotations. */
    readonly opener?: NoteOptions["opener"];
    readonly backups: readonly BackupManifest[];
    readonly now: Date;
  },
): Promise<Surroundings> {
  const troubles: string[] = [];
  const orTell = async <T>(look: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await look();
    } catch (error) {
      if (!(error instanceof BackupctlError)) throw error;
      troubles.push(error.message);
      return undefined;
    }
  };
  const book = new NoteBook(store, { cluster, host: "", ...(opener && { opener }) });
  const known = new Map<string, Known>();
  for (const systemIdentifier of new Set(backups.map((backup) => backup.systemIdentifier))) {
    known.set(systemIdentifier, {
      checks: await orTell(() => readChecks(store, { cluster, systemIdentifier, ...reading })),
      notes: await orTell(() => book.ofSystem(systemIdentifier, reading)),
    });
  }
  const whole = new Set(wholeChains(backups));
  const broken = new Set(
    backups.filter((backup) => !whole.has(backup)).map(({ systemIdentifier, id }) =>
      `${systemIdentifier}/${id}`
    ),
  );
  const leases = await orTell(() => listLeases(store, cluster, reading)) ?? [];
  return {
    factsOf: ({ systemIdentifier, id }) => ({
      checks: known.get(systemIdentifier)?.checks?.get(id),
      notes: known.get(systemIdentifier)?.notes?.get(id),
      broken: broken.has(`${systemIdentifier}/${id}`),
    }),
    leases: leases.filter((lease) => !isOver(lease, { now: now.getTime(), graceMs: GRACE_MS })),
    troubles,
  };
}

interface Known {
  readonly checks: ReadonlyMap<string, BackupChecks> | undefined;
  readonly notes: ReadonlyMap<string, BackupNotes> | undefined;
}

/** `ok`, or what is wrong with a backup that is there. */
export function stateOf(
  { damagedPages }: Pick<BackupManifest, "damagedPages">,
  { checks, broken }: BackupFacts,
): BackupState {
  if (broken) return "broken chain";
  if (checks?.damagedAt) return "damaged";
  return damagedPages ? "complete with damage" : "ok";
}
