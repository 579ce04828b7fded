import type { BackupManifest, HeldLease, LeaseNeeds, Leases } from "../catalog/catalog.ts";
import { LeaseLostError, StorageError } from "../domain/errors.ts";
import { parseLsn } from "../domain/lsn.ts";
import type { Progress } from "../domain/progress.ts";
import { segmentNumber } from "../domain/wal.ts";

/** What a run wants to hold against removals. */
export interface HoldRequest {
  readonly leases: Leases | undefined;
  readonly progress: Progress;
  readonly kind: "backup" | "restore";
  /** `restore of backup 20261123T022415Z-F`. */
  readonly what: string;
  readonly needs: LeaseNeeds;
  readonly signal?: AbortSignal;
}

/**
 * Holds what a run needs. A store that may only be read refuses the record: the run goes on, and
 * says so. Undefined then.
 *
 * @throws {LeaseHeldError} when a removal under way takes away what is needed.
 */
export async function holdLease(
  { leases, progress, kind, what, needs, signal }: HoldRequest,
): Promise<HeldLease | undefined> {
  try {
    return await leases?.share(kind, { what, needs, ...(signal && { signal }) });
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    progress.note(
      `warning: no lease could be taken, so a removal elsewhere would not know of this ${kind}: ` +
        error.message,
    );
    return undefined;
  }
}

/**
 * The lease, or a new one when it was lost: a run that was suspended, or whose store was away,
 * goes on when no removal has taken away what it needs.
 *
 * @throws {LeaseHeldError} when a removal under way does.
 */
export async function confirmHeld(
  lease: HeldLease | undefined,
  request: HoldRequest,
): Promise<HeldLease | undefined> {
  try {
    await lease?.confirm();
    return lease;
  } catch (error) {
    if (!(error instanceof LeaseLostError || error instanceof StorageError)) throw error;
    return await holdLease(request);
  }
}

/** What reading `backup` needs; with the log from its start on, to roll it forward. */
export function needsOf(
  { id, systemIdentifier, startLsn, walSegmentBytes }: BackupManifest,
  { rollsForward }: { readonly rollsForward: boolean },
): LeaseNeeds {
  const log = rollsForward && startLsn !== null && walSegmentBytes !== null;
  const walFrom = log ? segmentNumber(parseLsn(startLsn), walSegmentBytes) : null;
  return { systemIdentifier, backups: [id], walFrom };
}

/** Works while what is needed is held, and no longer. @throws {LeaseHeldError} */
export async function whileHeld<T>(request: HoldRequest, work: () => Promise<T>): Promise<T> {
  const lease = await holdLease(request);
  try {
    return await work();
  } finally {
    await lease?.release();
  }
}
