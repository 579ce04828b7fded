import type { BackupManifest, StoredLease } from "../../catalog/catalog.ts";
import { LeaseHeldError, NothingMatchesError, RunFailedError } from "../../domain/errors.ts";
import { nearest } from "../../domain/nearest.ts";
import { byStopTime, chainOf, isFromFuture } from "./backup_order.ts";
import { holdsAtLeast } from "./held_databases.ts";
import { inOrderOfRemoval } from "./plan_prune.ts";
import { committedIn, lookThrough, pruneSystem, type Seen } from "./prepare_removal.ts";
import { agreedRemoval, withRemovalLease } from "./prune_engine.ts";
import type { PruneBackup, PruneSystem } from "./prune_model.ts";
import type { PruneParts, Removal, RemovalReport } from "./prune_parts.ts";
import type { SystemStock } from "./take_stock.ts";
import { placeOfUnreadable, unreadableBackup } from "./unreadable_backup.ts";

/** Which backup to remove. */
export interface RemoveBackupOptions {
  readonly id: string;
  /**
   * Also when it is pinned, damaged, the newest one of its method and its databases, or when
   * others build on it, which then go with it.
   */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
}

/** What {@link removeBackup} would remove. Only reads. */
export async function planRemoveBackup(
  parts: PruneParts,
  options: RemoveBackupOptions,
): Promise<Removal> {
  const now = parts.clock.now().getTime();
  const live = await parts.leases.live(now, options.signal ? { signal: options.signal } : {});
  return await prepare(parts, { ...options, now, live });
}

/**
 * Removes one backup; its log stays until the next prune.
 *
 * @param options.confirm is asked with what would be removed; false leaves everything as it is.
 * @throws {NothingMatchesError} when there is no such backup.
 * @throws {LeaseHeldError} when somebody reads it or builds on it, or a removal is under way.
 * @throws {RunFailedError} when only `force` would do.
 */
export async function removeBackup(
  parts: PruneParts,
  { confirm = () => true, ...options }: RemoveBackupOptions & {
    readonly confirm?: (removal: Removal) => boolean;
  },
): Promise<RemovalReport | undefined> {
  return await withRemovalLease(parts, {
    ...options,
    work: async (held) => {
      const removal = await agreedRemoval(parts, held, async (live) => {
        const found = await prepare(parts, { ...options, now: held.now(), live });
        return confirm(found) ? found : undefined;
      });
      if (removal === undefined) return undefined;
      const evenPinned = options.force ?? false;
      await held.carryOut(removal, { finishes: false, evenPinned });
      return { removal, removedSegments: 0, uploads: 0 };
    },
  });
}

interface Preparation extends RemoveBackupOptions {
  readonly now: number;
  readonly live: readonly StoredLease[];
}

async function prepare(parts: PruneParts, options: Preparation): Promise<Removal> {
  const { id, force = false, live, signal } = options;
  const reading = signal ? { signal } : {};
  const seen = await lookThrough(parts, reading, { allowUnreadable: true });
  const stock = seen.stocks.findLast(({ folders }) =>
    folders.some((folder) => folder.id === id && folder.committed)
  );
  if (!stock) throw noSuch(parts, id, seen.manifests);
  const { systemIdentifier, segmentBytes } = stock;
  const notes = await parts.notes.ofSystem(systemIdentifier, reading);
  const system = pruneSystem(stock, { manifests: seen.manifests, notes, live });
  const going = goingWith(system, { id, stock, seen, live, force });
  if (going.length === 0) throw noSuch(parts, id, seen.manifests); // it went meanwhile
  const user = going.find(({ inUseBy }) => inUseBy !== undefined)?.inUseBy;
  if (user !== undefined) throw new LeaseHeldError(user, `it needs backup ${id}`);
  if (!force) refuseNeeded(system, { id, going, now: options.now });
  const reason = (backup: PruneBackup) => backup.id === id ? "asked for" : `it builds on ${id}`;
  return {
    keep: [],
    remove: inOrderOfRemoval(going)
      .map((backup) => ({ systemIdentifier, backup, reason: reason(backup) })),
    wal: [],
    seen: committedIn(seen.stocks),
    leftovers: [],
    sideFiles: [],
    segmentBytes: new Map([[systemIdentifier, segmentBytes]]),
    notes: [],
    freedBytes: going.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
  };
}

interface Request extends Pick<Preparation, "id" | "live"> {
  readonly force: boolean;
  readonly stock: SystemStock;
  readonly seen: Seen;
}

/**
 * The backup, also one that cannot be read, and what builds on it.
 *
 * @throws {IntegrityError} unless forced: what cannot be read cannot be judged either.
 */
function goingWith(system: PruneSystem, request: Request): readonly PruneBackup[] {
  const { id, seen: { unreadable }, force } = request;
  const own = unreadable.filter((one) =>
    placeOfUnreadable(one).systemIdentifier === system.systemIdentifier
  );
  const itself = own.find((one) => placeOfUnreadable(one).id === id);
  if (itself && !force) throw unreadableBackup(itself, "so nothing is removed without --force");
  const backups = itself ? [...system.backups, unknownBackup(request)] : system.backups;
  const going = withDependents(backups, id);
  const hidden = own.find((one) => one !== itself && isIncrement(placeOfUnreadable(one).id));
  if (force || !hidden || going.every(({ method }) => method === "logical")) return going;
  const what = `and may build on backup ${id}, which --force removes all the same`;
  throw unreadableBackup(hidden, what);
}

function isIncrement(id: string): boolean {
  return /-I(-\d+)?$/.test(id);
}

function withDependents(backups: readonly PruneBackup[], id: string): readonly PruneBackup[] {
  const all = new Map(backups.map((backup) => [backup.id, backup]));
  return backups.filter((backup) => chainOf(backup, all).some((below) => below.id === id));
}

/** What its name tells of a backup whose backup.json cannot be read. */
function unknownBackup({ id, stock: { folders, systemIdentifier }, live }: Request): PruneBackup {
  const user = live.find(({ needs }) =>
    needs?.systemIdentifier === systemIdentifier && needs.backups.includes(id)
  );
  return {
    ...{ id, parentId: null, stoppedAt: 0, wal: null },
    method: /-L(-\d+)?$/.test(id) ? "logical" : "physical",
    kind: isIncrement(id) ? "incremental" : "full",
    storedBytes: folders.find((one) => one.id === id)!.bytes,
    ...(user && { inUseBy: `${user.holder.what} on host ${user.holder.host}` }),
  };
}

function refuseNeeded(
  { backups }: PruneSystem,
  { id, going, now }: {
    readonly id: string;
    readonly going: readonly PruneBackup[];
    readonly now: number;
  },
): void {
  const dependents = going.filter((backup) => backup.id !== id);
  if (dependents.length > 0) {
    throw new RunFailedError(
      `${named(dependents)} on backup ${id} and could not be restored without it`,
      "--force removes them with it",
    );
  }
  const [backup] = going;
  const pin = backup!.pin;
  if (pin && (pin.until === null || pin.until > now)) {
    throw new RunFailedError(
      `backup ${id} is kept on request`,
      `"backupctl keep --backup-id ${id} --release" gives it free, --force removes it all the same`,
    );
  }
  const newest = byStopTime(backups)
    .findLast((one) => holdsAtLeast(one, backup!) && !isFromFuture(one, now));
  // Of those of the future alone nobody knows which is the newest.
  if (newest && newest.id !== id) return;
  throw new RunFailedError(
    `backup ${id} is the newest ${backup!.method} one${ofDatabases(backup!)}`,
    "take another one first; --force removes it all the same",
  );
}

function ofDatabases({ method, databases }: PruneBackup): string {
  if (method === "physical" || databases?.all) return "";
  return databases?.names
    ? " that holds all of its databases"
    : " that is known to hold its databases, whose names are sealed";
}

function named(backups: readonly PruneBackup[]): string {
  const ids = backups.slice(0, 3).map(({ id }) => id).join(", ");
  const more = backups.length > 3 ? ` and ${backups.length - 3} more` : "";
  return `${ids}${more} ${backups.length === 1 ? "builds" : "build"}`;
}

function noSuch(
  { repository }: PruneParts,
  id: string,
  manifests: readonly BackupManifest[],
): NothingMatchesError {
  const near = nearest(id, manifests.map((manifest) => manifest.id));
  return new NothingMatchesError(
    `there is no backup ${id} in ${repository.location}`,
    near === undefined ? '"backupctl status" lists them' : `did you mean ${near}?`,
  );
}
