import { IntegrityError } from "../domain/errors.ts";
import type { ObjectStore } from "../storage/storage.ts";
import { openSignatures } from "./open_parts.ts";
import type { Session } from "./session.ts";

/**
 * Says when this machine remembers a later signed backup than all that are there.
 *
 * @param options.isAsked somebody named a backup or a moment, and gets it.
 * @throws {IntegrityError} when nobody did: nobody wants an older state without having been asked.
 */
export async function tellRolledBack(
  store: ObjectStore,
  { session: { loaded: { config }, progress }, isAsked, signal }: {
    readonly session: Session;
    readonly isAsked: boolean;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const signatures = await openSignatures(store, config);
  if (!signatures?.required) return;
  const hidden = (await signatures.audit({ signal })).find(({ rolledBack }) => rolledBack);
  if (!hidden) return;
  const { id, sequence } = hidden.rolledBack!;
  const text = `backup ${id}, signed as number ${sequence}, was seen by this machine and is not ` +
    "there: it was removed without a signature, or is hidden";
  if (!isAsked) throw new IntegrityError(text, "name the backup to restore with --backup-id");
  progress.note(text);
}
