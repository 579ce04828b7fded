import { backupChain, type BackupManifest, type Repository } from "../../../catalog/catalog.ts";
import { IntegrityError } from "../../../domain/errors.ts";
import { OTHER_BACKUP_HINT } from "../../naming_object.ts";

/**
 * A backup and what it is built on, the full one first. For a full one nothing is read.
 *
 * @throws {IntegrityError} when one of them is missing, cannot be read, or cannot be what it says.
 */
export async function loadChain(
  repository: Repository,
  backup: BackupManifest,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<readonly BackupManifest[]> {
  if (backup.parentId === null) return [backup];
  const unreadable = new Map<string, string>();
  const backups = await repository.backups({
    onUnreadable: ({ key, reason }) => unreadable.set(key.split("/").at(-2) ?? key, reason),
    ...(signal && { signal }),
  });
  try {
    return backupChain(backup, backups);
  } catch (error) {
    const [id, reason] = [...unreadable].find(([id]) => `${error}`.includes(id)) ?? [];
    if (!(error instanceof IntegrityError) || id === undefined) throw error;
    throw new IntegrityError(
      `increment ${backup.id} cannot be restored: ${id} cannot be read: ${reason}`,
      OTHER_BACKUP_HINT,
      { cause: error },
    );
  }
}
