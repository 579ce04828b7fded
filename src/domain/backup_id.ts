/** How a backup was taken. */
export type BackupMethod = "physical" | "logical";
/** Whether a backup stands alone. */
export type BackupKind = "full" | "incremental";

const ID = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z-([FIL])(?:-(\d{1,3}))?$/;

/** The letter behind the time: F a physical full, I an increment, L a logical one. */
function letter(method: BackupMethod, kind: BackupKind): string {
  if (method === "logical") return "L";
  return kind === "full" ? "F" : "I";
}

/**
 * The name of a backup that starts at `startedAt`: `20261123T022415Z-F`.
 *
 * @param again 2 and more when a backup of that very second is already there.
 */
export function backupId(
  startedAt: Date,
  { method, kind, again = 1 }: { method: BackupMethod; kind: BackupKind; again?: number },
): string {
  const time = startedAt.toISOString().replace(/[-:]|\.\d+/g, "");
  return `${time}-${letter(method, kind)}${again > 1 ? `-${again}` : ""}`;
}

/** Whether `text` has the form of a backup's name. */
export function isBackupId(text: string): boolean {
  return ID.test(text);
}

/** When the backup of that name began. @throws {RangeError} when it is no backup's name. */
export function startOfBackup(id: string): Date {
  const match = ID.exec(id);
  if (!match) throw new RangeError(`"${id}" is not a backup's name`);
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  return new Date(Date.UTC(year!, month! - 1, day, hour, minute, second));
}
