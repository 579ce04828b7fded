import { type BackupManifest, wholeChains } from "../../catalog/catalog.ts";
import { NothingMatchesError } from "../../domain/errors.ts";
import { walFolder } from "../../domain/wal_key.ts";
import type { ListOptions, ObjectStore, ReadOptions } from "../../storage/storage.ts";
import type { ArchiveView } from "./archive_view.ts";
import { viewArchive } from "./archive_view.ts";
import { chooseBackup, type RecoveryPlan } from "./choose_backup.ts";
import type { RecoveryRequest } from "./recovery_target.ts";
import { describeTarget } from "./recovery_target.ts";

/** What to plan from. */
export interface PlanRecoveryOptions extends ReadOptions {
  readonly cluster: string;
  /** All committed backups of the cluster. */
  readonly backups: readonly BackupManifest[];
  readonly request: RecoveryRequest;
  /** The one that was asked for by name. */
  readonly backup?: BackupManifest;
}

/**
 * Chooses the backup for a recovery and finds out whether the archive reaches its target. Lists the
 * archive; fetches nothing.
 *
 * @throws {NothingMatchesError} naming the windows that can be restored.
 * @throws {StorageError} when the archive cannot be listed.
 */
export async function planRecovery(
  store: ObjectStore,
  { cluster, backups, request, backup, ...reading }: PlanRecoveryOptions,
): Promise<RecoveryPlan> {
  const offered = physicalOnes(backup ? [backup] : wholeChains(backups), request);
  let refusal: unknown;
  for (const systemIdentifier of systemsOf(offered, request)) {
    const place = { cluster, systemIdentifier };
    const view = await viewArchive(store, { place, backups, ...reading });
    try {
      return chooseBackup(view, { request, ...(backup && { backup }) });
    } catch (error) {
      if (!(error instanceof NothingMatchesError)) throw error;
      refusal ??= error;
    }
  }
  throw refusal;
}

/**
 * The archive of the system that was backed up last or, before the first physical backup, of the
 * youngest one that has archived anything; undefined when there is neither.
 */
export async function viewNewestArchive(
  store: ObjectStore,
  { cluster, backups, ...reading }: Omit<ListOptions, "startAfter"> & {
    readonly cluster: string;
    readonly backups: readonly BackupManifest[];
  },
): Promise<ArchiveView | undefined> {
  const backedUp = backups.findLast(({ method }) => method === "physical")?.systemIdentifier;
  const systemIdentifier = backedUp ?? await youngestSystem(store, { cluster, ...reading });
  if (systemIdentifier === undefined) return undefined;
  return await viewArchive(store, { place: { cluster, systemIdentifier }, backups, ...reading });
}

/** System identifiers begin with the time of initdb: the greatest is the youngest. */
async function youngestSystem(
  store: ObjectStore,
  { cluster, ...reading }: Omit<ListOptions, "startAfter"> & { readonly cluster: string },
): Promise<string | undefined> {
  let youngest: bigint | undefined;
  for (let startAfter: string | undefined = `${cluster}/`; startAfter !== undefined;) {
    const key = await firstKey(store, `${cluster}/`, { startAfter, ...reading });
    const system = key?.split("/")[1];
    // Behind everything of that system: 0 is the character behind the slash.
    startAfter = system === undefined ? undefined : `${cluster}/${system}0`;
    if (system === undefined || !/^\d{1,20}$/.test(system)) continue;
    if (youngest !== undefined && BigInt(system) <= youngest) continue;
    const folder = walFolder({ cluster, systemIdentifier: system });
    if (await firstKey(store, folder, reading) !== undefined) youngest = BigInt(system);
  }
  return youngest?.toString();
}

async function firstKey(
  store: ObjectStore,
  prefix: string,
  options: ListOptions,
): Promise<string | undefined> {
  for await (const { key } of store.list(prefix, options)) return key;
  return undefined;
}

function physicalOnes(
  backups: readonly BackupManifest[],
  { target }: RecoveryRequest,
): readonly BackupManifest[] {
  const physical = backups.filter(({ method }) => method === "physical");
  if (physical.length > 0) return physical;
  const only = backups.length === 0
    ? "there is no backup"
    : backups.length === 1
    ? `backup ${backups[0]!.id} is a logical one`
    : `all ${backups.length} backups are logical ones`;
  throw new NothingMatchesError(
    `${describeTarget(target)} cannot be restored: ${only}`,
    "the log says which blocks of the data files changed, so it cannot be applied to a dump: " +
      'point-in-time recovery needs "backupctl backup full --method physical" and archived WAL',
  );
}

/**
 * The system that was backed up last first. An older one, from before a `pg_upgrade` or an initdb,
 * counts only for times: positions and names mean something else there.
 */
function systemsOf(
  backups: readonly BackupManifest[],
  { target }: RecoveryRequest,
): readonly string[] {
  const newestFirst = backups
    .toSorted((a, b) => Date.parse(b.stoppedAt) - Date.parse(a.stoppedAt))
    .map(({ systemIdentifier }) => systemIdentifier);
  const systems = [...new Set(newestFirst)];
  return target.kind === "time" ? systems : systems.slice(0, 1);
}
