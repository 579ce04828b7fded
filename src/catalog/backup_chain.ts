import { IntegrityError } from "../domain/errors.ts";
import { parseLsn } from "../domain/lsn.ts";
import type { BackupManifest } from "./manifest.ts";

/**
 * A backup and everything that it is built on, the full one first. Manifests are not trusted:
 * whoever can write into the bucket wrote them.
 *
 * @param backups where the parents are looked for.
 * @throws {IntegrityError} when a parent is missing or cannot be one, or the chain has no end.
 */
export function backupChain(
  backup: BackupManifest,
  backups: Iterable<BackupManifest>,
): readonly BackupManifest[] {
  const byId = new Map<string, BackupManifest>();
  for (const other of backups) {
    if (other.systemIdentifier === backup.systemIdentifier) byId.set(other.id, other);
  }
  return chainAmong(backup, byId);
}

/** @param byId the backups of one system. */
function chainAmong(
  backup: BackupManifest,
  byId: ReadonlyMap<string, BackupManifest>,
): readonly BackupManifest[] {
  const chain = [backup];
  for (let child = backup; child.parentId !== null;) {
    const parent = byId.get(child.parentId);
    if (!parent) {
      throw broken(backup, `${child.parentId}, which ${child.id} is on top of, is missing`);
    }
    const fault = chain.includes(parent) ? "its chain leads back to itself" : unfit(parent, child);
    if (fault !== undefined) throw broken(backup, fault);
    chain.unshift(parent);
    child = parent;
  }
  return chain;
}

/** The backups that have everything that they are built on. */
export function wholeChains(backups: readonly BackupManifest[]): readonly BackupManifest[] {
  if (backups.every(({ parentId }) => parentId === null)) return backups;
  const systems = new Map<string, Map<string, BackupManifest>>();
  for (const backup of backups) {
    const byId = systems.get(backup.systemIdentifier) ?? new Map<string, BackupManifest>();
    systems.set(backup.systemIdentifier, byId.set(backup.id, backup));
  }
  return backups.filter((backup) => {
    try {
      return chainAmong(backup, systems.get(backup.systemIdentifier)!).length > 0;
    } catch (error) {
      if (error instanceof IntegrityError) return false;
      throw error;
    }
  });
}

/** Why `parent` cannot be what `child` is on top of. */
function unfit(parent: BackupManifest, child: BackupManifest): string | undefined {
  const what = `${parent.id}, which ${child.id} is on top of,`;
  if (parent.method !== "physical") return `${what} is no physical backup`;
  if (major(parent) !== major(child)) return `${what} is of PostgreSQL ${major(parent)}`;
  if (parent.startLsn === null || child.startLsn === null) return `${what} has no position`;
  if (parseLsn(parent.startLsn) > parseLsn(child.startLsn)) return `${what} began later`;
  return undefined;
}

function major({ postgresVersion }: BackupManifest): number {
  return Math.floor(postgresVersion / 10_000);
}

function broken(backup: BackupManifest, fault: string): IntegrityError {
  return new IntegrityError(
    `increment ${backup.id} cannot be restored: ${fault}`,
    "another backup may be whole: backupctl status lists them",
  );
}
