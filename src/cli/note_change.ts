import type { BackupManifest, BackupNotes, NoteChange } from "../catalog/catalog.ts";
import { BackupctlError, NothingMatchesError, PartialError, UsageError } from "../domain/errors.ts";
import { parseDuration } from "../domain/duration.ts";
import { parseRecoveryTime } from "../engine/recovery/recovery_time.ts";
import type { Context } from "./context.ts";
import { openLeases, openNotes } from "./open_leases.ts";
import { openCatalog, openStore } from "./open_parts.ts";
import { loadSettings } from "./session.ts";

/** What was noted of which backup. */
export interface Noted {
  readonly backup: BackupManifest;
  /** All that is noted of it now. */
  readonly notes: BackupNotes;
}

/**
 * Adds a note to the backup named, or to the newest one.
 *
 * @throws {LeaseHeldError} when a removal under way takes the backup away.
 */
export async function noteOn(
  backupId: string | undefined,
  { change, context }: { readonly change: NoteChange; readonly context: Context },
): Promise<Noted> {
  const { config } = await loadSettings(context);
  const { signal } = context;
  const store = await openStore(config);
  try {
    const repository = await openCatalog(store, config);
    const backup = backupId === undefined
      ? (await repository.backups({ signal })).at(-1)
      : await repository.backup(backupId, signal);
    if (!backup) throw new NothingMatchesError(`there is no backup in ${repository.location}`);
    const notes = await openNotes(store, config);
    await notes.add(backup, change, { signal });
    const { systemIdentifier, id } = backup;
    // A removal that has it on its list already cannot know of the note.
    const leases = await openLeases(store, config);
    await leases.refuseRemoved({ systemIdentifier, backups: [id], walFrom: null }, { signal });
    return { backup, notes: await notes.of(backup, { signal }) };
  } finally {
    await store.close?.();
  }
}

/** What `--keep[=UNTIL]` asks for. @throws {UsageError} */
export function parseKeep(value: true | string, now: Date): { readonly until: Date | null } {
  return { until: value === true ? null : parseUntil(value, now) };
}

/** Keeps a backup that was just taken. @throws {PartialError} when only that fails. */
export async function pinTaken(
  { id }: BackupManifest,
  { pin, context }: { readonly pin: { readonly until: Date | null }; readonly context: Context },
): Promise<void> {
  try {
    await noteOn(id, { change: { keep: pin }, context });
  } catch (error) {
    if (!(error instanceof BackupctlError)) throw error;
    throw new PartialError(
      `backup ${id} is complete, but it could not be pinned: ${error.message}`,
      `"backupctl keep --backup-id ${id}" pins it`,
      { cause: error },
    );
  }
}

/** `2027-01-31T00:00:00Z`, `2027-01-31` in UTC, or `90d` from now. @throws {UsageError} */
export function parseUntil(text: string, now: Date): Date {
  const span = parseDuration(text);
  if (span !== undefined) return checked(new Date(now.getTime() + span), now);
  const whole = /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text;
  return checked(new Date(Number(parseRecoveryTime(whole) / 1000n)), now);
}

function checked(until: Date, now: Date): Date {
  if (until > now) return until;
  throw new UsageError(
    `${until.toISOString()} is over`,
    "--release gives a backup free at once",
  );
}
