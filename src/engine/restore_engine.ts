import type { BackupManifest, HeldLease, UnreadableBackup } from "../catalog/catalog.ts";
import { isBackupId } from "../domain/backup_id.ts";
import { IntegrityError, NothingMatchesError } from "../domain/errors.ts";
import { absentObjects } from "./absent_objects.ts";
import { holdLease, needsOf } from "./hold_lease.ts";
import { planLogicalRestore } from "./logical/plan_logical_restore.ts";
import { restoreLogical } from "./logical/restore_logical.ts";
import { OTHER_BACKUP_HINT } from "./naming_object.ts";
import { refuseClosed } from "./sealed_as.ts";
import type { RestoreOptions, RestoreParts, RestorePlan, RestoreReport } from "./parts.ts";
import { loadChain } from "./physical/incremental/load_chain.ts";
import { planPhysicalRestore } from "./physical/plan_physical_restore.ts";
import { restorePhysical } from "./physical/restore_physical.ts";
import type { RecoveryPlan } from "./recovery/choose_backup.ts";
import { planRecovery } from "./recovery/plan_recovery.ts";
import type { RecoveryRequest } from "./recovery/recovery_target.ts";

/** Objects that one sentence names. */
const NAMED = 3;

/** Most recoveries have fetched their log by then. */
const RECOVERY_LEASE_MS = 24 * 3_600_000;

/** Restores backups from the manifests alone: no catalogue and no source server is needed. */
export class RestoreEngine {
  readonly #parts: RestoreParts;

  /** Contacts nobody yet. */
  constructor(parts: RestoreParts) {
    this.#parts = parts;
  }

  /**
   * The backup to restore: the one named, or the newest one that ended last.
   *
   * @throws {NothingMatchesError} when there is none.
   * @throws {IntegrityError} when a later one is there and cannot be read: nobody wants an older
   *   state without having been asked.
   */
  async choose(id?: string, signal?: AbortSignal): Promise<BackupManifest> {
    const { repository } = this.#parts;
    if (id !== undefined) return await repository.backup(id, signal);
    const unreadable: UnreadableBackup[] = [];
    const backups = await repository.backups({
      onUnreadable: (backup) => void unreadable.push(backup),
      ...(signal && { signal }),
    });
    const newest = backups.at(-1);
    refuseLater(unreadable, newest);
    if (newest) return newest;
    throw new NothingMatchesError(
      `there is no backup of cluster ${repository.cluster} in ${repository.location}`,
      'take one with "backupctl backup full", or name another cluster with --cluster',
    );
  }

  /**
   * The backup to roll forward, and what of the archive that takes.
   *
   * @param options.backupId start from this physical backup.
   * @throws {NothingMatchesError} naming the moments that can be restored.
   */
  async planRecovery(
    request: RecoveryRequest,
    { backupId, signal }: { readonly backupId?: string; readonly signal?: AbortSignal } = {},
  ): Promise<RecoveryPlan> {
    const { repository, store } = this.#parts;
    const reading = signal ? { signal } : {};
    const backup = backupId === undefined ? undefined : await repository.backup(backupId, signal);
    return await planRecovery(store, {
      cluster: repository.cluster,
      backups: await repository.backups(reading),
      request,
      ...(backup && { backup }),
      ...reading,
    });
  }

  /**
   * What {@link RestoreEngine.restore} would do; moves nothing.
   *
   * @throws {KeyError} when it is encrypted and no identity opens it.
   */
  async plan(backup: BackupManifest, options: RestoreOptions): Promise<RestorePlan> {
    refuseClosed(backup, this.#parts.codecs);
    const plan = backup.method === "physical" ? planPhysicalRestore : planLogicalRestore;
    const found = await plan(this.#parts, { backup, options });
    const absent = await this.#absent(backup, options);
    if (absent.length === 0) return found;
    return { ...found, obstacles: [...found.obstacles, summary(absent)] };
  }

  /**
   * Restores `backup`.
   *
   * @throws {KeyError} when it is encrypted and no identity opens it.
   * @throws {DestinationError} before the first byte when the destination cannot take it.
   * @throws {IntegrityError} naming the object that is damaged or missing.
   */
  async restore(backup: BackupManifest, options: RestoreOptions): Promise<RestoreReport> {
    refuseClosed(backup, this.#parts.codecs);
    const restore = backup.method === "physical" ? restorePhysical : restoreLogical;
    const lease = await this.#hold(backup, options);
    try {
      if (lease) await this.#refuseRemoved(backup, options);
      const absent = await this.#absent(backup, options);
      // Now, and not after hours at the last object.
      if (absent.length > 0) throw new IntegrityError(summary(absent), OTHER_BACKUP_HINT);
      const report = await restore(this.#parts, { backup, options });
      // The server goes on to fetch the log, and nobody tells when it has what it needs.
      if (options.recovery) await lease?.release({ lasting: RECOVERY_LEASE_MS });
      return report;
    } finally {
      await lease?.release();
    }
  }

  /** Before anything is read, so that no removal takes it away meanwhile. */
  async #hold(
    backup: BackupManifest,
    { recovery, signal }: RestoreOptions,
  ): Promise<HeldLease | undefined> {
    const { leases, progress } = this.#parts;
    return await holdLease({
      ...{ leases, progress, kind: "restore" },
      what: `restore of backup ${backup.id}`,
      needs: needsOf(backup, { rollsForward: recovery !== undefined }),
      ...(signal && { signal }),
    });
  }

  /** It was chosen before the lease was taken. @throws {NothingMatchesError} */
  async #refuseRemoved(backup: BackupManifest, { signal }: RestoreOptions): Promise<void> {
    const { store, repository } = this.#parts;
    const key = `${repository.folder(backup)}backup.json`;
    if (await store.head(key, signal ? { signal } : {})) return;
    throw new NothingMatchesError(
      `backup ${backup.id} was removed a moment ago`,
      '"backupctl status" lists those that are left',
    );
  }

  /** Of the backup and of what it is built on. */
  async #absent(
    backup: BackupManifest,
    { databases, signal }: RestoreOptions,
  ): Promise<readonly string[]> {
    const { store, repository } = this.#parts;
    const reading = signal ? { signal } : {};
    const absent: string[] = [];
    for (const one of await loadChain(repository, backup, reading)) {
      const question = { store, repository, ...reading, ...(databases && { databases }) };
      const sentences = await absentObjects(one, question);
      const where = one === backup ? "" : ` in backup ${one.id}, which it is built on`;
      absent.push(...sentences.map((sentence) => `${sentence}${where}`));
    }
    return absent;
  }
}

/** Foreign folders are no backups; the ids of backups sort by the time they began. */
function refuseLater(
  unreadable: readonly UnreadableBackup[],
  newest: BackupManifest | undefined,
): void {
  const idOf = ({ key }: UnreadableBackup) => key.split("/").at(-2) ?? "";
  const later = unreadable.find((backup) =>
    isBackupId(idOf(backup)) && (newest === undefined || idOf(backup) > newest.id)
  );
  if (later === undefined) return;
  throw new IntegrityError(
    `the newest backup, ${idOf(later)}, cannot be read: ${later.reason}`,
    newest
      ? `--backup-id ${newest.id} restores the newest one that can be read`
      : "no other backup can be read; is its folder whole?",
  );
}

/** The first few: a lost folder has thousands. */
function summary(absent: readonly string[]): string {
  const more = absent.length - NAMED;
  return absent.slice(0, NAMED).join(", ") + (more > 0 ? `, and ${more} more` : "");
}
