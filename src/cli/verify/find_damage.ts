import type { BackupManifest, Repository, UnreadableBackup } from "../../catalog/catalog.ts";
import type { Signatures } from "../../catalog/signatures.ts";
import type { ChainAudit } from "../../catalog/signed_chain.ts";
import { readChecks } from "../../catalog/checks.ts";
import { readVerifiedSegments } from "../../catalog/wal_checks.ts";
import { NothingMatchesError } from "../../domain/errors.ts";
import type { Progress } from "../../domain/progress.ts";
import { chainOf, dependents } from "../../engine/verify/dependents.ts";
import {
  type VerifiedArchive,
  verifyArchive,
  type VerifyArchiveOptions,
} from "../../engine/verify/verify_archive.ts";
import {
  type ObjectFault,
  type VerifiedBackup,
  verifyBackups,
} from "../../engine/verify/verify_backups.ts";
import type { ObjectStore } from "../../storage/storage.ts";

/** What to read back, as the flags say it. */
export interface VerifyRequest {
  readonly backupId: string | undefined;
  readonly sample: number;
  readonly sinceLast: boolean;
  readonly jobs: number | undefined;
  /** A signed backup of this number was there once. */
  readonly expectSequence: number | undefined;
}

/** Where to look. */
export interface VerifyPlace {
  readonly store: ObjectStore;
  readonly repository: Repository;
  readonly progress: Progress;
  /** Opens encrypted WAL. */
  readonly unseal?: NonNullable<VerifyArchiveOptions["unseal"]>;
  /** Absent, or not {@link Signatures.required}: nobody asks who wrote the backups. */
  readonly signatures?: Signatures;
  readonly signal: AbortSignal;
}

/** What a verification found. */
export interface Findings {
  readonly backups: readonly VerifiedBackup[];
  /** Manifests that cannot be read: their backups are lost whole. */
  readonly unreadable: readonly ObjectFault[];
  readonly archives: readonly VerifiedArchive[];
  /** Backups that an earlier verification found to be right. */
  readonly skipped: number;
  /** What signatures tell of backups that are not there; absent when none are asked for. */
  readonly signatures?: readonly ChainAudit[];
}

/**
 * Reads what is asked for and says what is wrong with it.
 *
 * @throws {NothingMatchesError} when there is no such backup, or none at all.
 * @throws {StorageError} when the store cannot be asked.
 */
export async function findDamage(place: VerifyPlace, request: VerifyRequest): Promise<Findings> {
  const { store, repository, signal } = place;
  const broken: UnreadableBackup[] = [];
  const backups = await repository.backups({
    onUnreadable: (backup) => void broken.push(backup),
    signal,
  });
  const asked = await askedFor(place, { backups, broken, backupId: request.backupId });
  const targets = request.sinceLast ? await unverified(place, asked) : asked;
  const verified = await verifyBackups(place, { targets, backups, ...limits(request), signal });
  const whole = request.backupId === undefined;
  const archives: VerifiedArchive[] = [];
  for (const systemIdentifier of whole ? systemsOf(backups) : []) {
    const where = { cluster: repository.cluster, systemIdentifier };
    const before = request.sinceLast
      ? await readVerifiedSegments(store, where, { signal })
      : undefined;
    place.progress.begin("reading the archived WAL back");
    archives.push(
      await verifyArchive(store, {
        ...{ place: where, backups, signal, ...limits(request) },
        ...(before && { verified: before }),
        ...(place.unseal && { unseal: place.unseal }),
        onChecked: (_, bytes) => place.progress.advance(bytes),
      }),
    );
  }
  const signatures = whole && place.signatures?.required
    ? await place.signatures.audit({ signal })
    : undefined;
  return {
    backups: verified,
    unreadable: whole
      ? [
        ...broken.map((backup) => unreadableFault(backup, backups)),
        ...hiddenFaults(signatures ?? [], { repository, ...request }),
      ]
      : [],
    archives,
    ...(signatures && { signatures }),
    skipped: asked.length - targets.length,
  };
}

function limits({ sample, jobs }: VerifyRequest) {
  return { sample, ...(jobs !== undefined && { jobs }) };
}

/** All of them, or the one that is named with those that it builds on. */
async function askedFor(
  { repository, signal }: VerifyPlace,
  { backups, broken, backupId }: {
    readonly backups: readonly BackupManifest[];
    readonly broken: readonly UnreadableBackup[];
    readonly backupId: string | undefined;
  },
): Promise<readonly BackupManifest[]> {
  if (backupId !== undefined) {
    return chainOf(await repository.backup(backupId, signal), backups);
  }
  if (backups.length + broken.length > 0) return backups;
  throw new NothingMatchesError(
    `there is no backup of cluster ${repository.cluster} in ${repository.location}`,
    'take one with "backupctl backup full"',
  );
}

async function unverified(
  { store, repository: { cluster }, signal }: VerifyPlace,
  backups: readonly BackupManifest[],
): Promise<readonly BackupManifest[]> {
  const left: BackupManifest[] = [];
  for (const systemIdentifier of new Set(backups.map((backup) => backup.systemIdentifier))) {
    const checks = await readChecks(store, { cluster, systemIdentifier, signal });
    const own = backups.filter((backup) => backup.systemIdentifier === systemIdentifier);
    left.push(...own.filter(({ id }) => !checks.get(id)?.verifiedAt));
  }
  return left;
}

function systemsOf(backups: readonly BackupManifest[]): readonly string[] {
  const physical = backups.filter(({ method }) => method === "physical");
  return [...new Set(physical.map(({ systemIdentifier }) => systemIdentifier))];
}

/** Backups that were there, later than everything that is. */
function hiddenFaults(
  signatures: readonly ChainAudit[],
  { repository: { cluster }, expectSequence = 0 }: {
    readonly repository: Repository;
    readonly expectSequence: number | undefined;
  },
): readonly ObjectFault[] {
  const hidden = signatures.flatMap(({ systemIdentifier, rolledBack }) => {
    if (!rolledBack) return [];
    const { id, sequence } = rolledBack;
    const key = `${cluster}/${systemIdentifier}/backups/${id}/backup.json`;
    const reason = `is missing: backup ${sequence} was seen here, and nobody signed its removal`;
    return [{ key, backupId: id, reason, lost: [id] }];
  });
  const highest = signatures.reduce((most, one) => Math.max(most, one.highest), 0);
  if (highest >= expectSequence) return hidden;
  const reason = `holds signed backups up to number ${highest}, not ${expectSequence} as expected`;
  return [...hidden, { key: `${cluster}/`, backupId: "", reason, lost: [] }];
}

function unreadableFault(
  { key, reason }: UnreadableBackup,
  backups: readonly BackupManifest[],
): ObjectFault {
  const backupId = key.split("/").at(-2) ?? "";
  return { key, backupId, reason, lost: dependents(backupId, backups) };
}
