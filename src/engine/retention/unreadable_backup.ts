import type { UnreadableBackup } from "../../catalog/catalog.ts";
import { isBackupId } from "../../domain/backup_id.ts";
import { IntegrityError } from "../../domain/errors.ts";

/** Where it lies, as the key of its backup.json says. */
export function placeOfUnreadable(
  { key }: UnreadableBackup,
): { readonly systemIdentifier: string; readonly id: string } {
  const [systemIdentifier = "", , id = ""] = key.split("/").slice(-4);
  return { systemIdentifier, id };
}

/**
 * Says that a backup.json cannot be read, and what to do. What a newer backupctl wrote, or nobody
 * signed, is no damage: nobody shall be led to remove it.
 *
 * @param outcome what becomes of the run: `so nothing is removed`.
 */
export function unreadableBackup(backup: UnreadableBackup, outcome: string): IntegrityError {
  const { key, reason } = backup;
  const text = reason.startsWith(key) ? reason : `${key}: ${reason}`;
  return new IntegrityError(
    `the backup.json of a backup cannot be read, ${outcome}: ${text}`,
    remedyOf(backup),
  );
}

function remedyOf(backup: UnreadableBackup): string {
  const { reason, hint } = backup;
  if (reason.includes("upgrade backupctl")) {
    return "upgrade backupctl on this machine: what a newer one wrote is not damaged";
  }
  const { id } = placeOfUnreadable(backup);
  const remedy = isBackupId(id)
    ? `"backupctl delete --backup-id ${id} --force" removes it, if it is lost for good`
    : "move it out of the repository, if nobody needs it there";
  return hint === undefined ? remedy : `${hint}; ${remedy}`;
}
