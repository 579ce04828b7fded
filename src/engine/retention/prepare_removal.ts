import type {
  BackupManifest,
  BackupNotes,
  LeaseRemovals,
  StoredLease,
  UnreadableBackup,
} from "../../catalog/catalog.ts";
import { IntegrityError, RunFailedError } from "../../domain/errors.ts";
import { parseLsn } from "../../domain/lsn.ts";
import type { ReadOptions } from "../../storage/storage.ts";
import { SEALED_CHOICE } from "./choose_kept.ts";
import { findLeftovers, orphanedWal } from "./find_leftovers.ts";
import { heldDatabases } from "./held_databases.ts";
import { planPrune } from "./plan_prune.ts";
import type { PruneBackup, PrunePlan, PruneSystem } from "./prune_model.ts";
import type { PruneOptions, PruneParts, Removal } from "./prune_parts.ts";
import { type FolderStock, type SystemStock, takeStock } from "./take_stock.ts";
import { placeOfUnreadable, unreadableBackup } from "./unreadable_backup.ts";

/** Something may be committed between two listings; it is not, again and again. */
const TRIES = 3;

/** What is seen of a repository at one time. */
export interface Seen {
  readonly manifests: readonly BackupManifest[];
  readonly stocks: readonly SystemStock[];
  /** Those that are there and cannot be used; none, unless they are allowed. */
  readonly unreadable: readonly UnreadableBackup[];
}

/** What a removal is prepared with. */
export interface PrepareOptions extends PruneOptions {
  /** Milliseconds since 1970, by the store's clock where it is known. */
  readonly now: number;
  /** Those that have not run out. */
  readonly live: readonly StoredLease[];
  /** What an earlier removal did not come to. */
  readonly unfinished: LeaseRemovals | null;
}

/**
 * Looks through the repository and says what would go. Removes nothing.
 *
 * @throws {IntegrityError} when a backup cannot be read or is not whole: what is needed is then not
 *   known, and nothing may go.
 * @throws {RunFailedError} when two listings say different things.
 */
export async function prepareRemoval(
  parts: PruneParts,
  options: PrepareOptions,
): Promise<Removal> {
  const reading = options.signal ? { signal: options.signal } : {};
  const seen = await lookThrough(parts, reading);
  refuseDamaged(seen);
  const systems: PruneSystem[] = [];
  for (const stock of seen.stocks) {
    const notes = await parts.notes.ofSystem(stock.systemIdentifier, reading);
    systems.push(pruneSystem(stock, { manifests: seen.manifests, notes, live: options.live }));
  }
  const { policy, now } = options;
  const plan = policy ? planPrune({ systems, policy, now }) : nothingGoes(systems);
  return removalOf({ ...plan, wal: orphanedWal(plan.wal, seen, options) }, seen, options);
}

/**
 * Reads the manifests and lists everything. What was committed in between is read, too; what was
 * removed in between is left out.
 *
 * @throws {RunFailedError} when a listing leaves out what is there.
 */
export async function lookThrough(
  { repository, store }: Pick<PruneParts, "repository" | "store">,
  reading: ReadOptions,
  { allowUnreadable = false } = {},
): Promise<Seen> {
  const { cluster } = repository;
  const unreadable = new Map<string, UnreadableBackup>();
  const read = () => repository.backups({ ...reading, onUnreadable });
  const onUnreadable = (backup: UnreadableBackup) => {
    if (!allowUnreadable) throw unreadableBackup(backup, "so nothing is removed");
    unreadable.set(backup.key, backup);
  };
  for (let tries = 1;; tries++) {
    const first = await read();
    const stocks = await takeStock(store, { cluster, manifests: first, ...reading });
    const listed = committedIn(stocks);
    const later = first.filter((manifest) => !listed.has(nameOf(manifest)));
    await refuseUnlisted(later, { repository, store, ...reading });
    const known = new Set(
      [...first, ...[...unreadable.values()].map(placeOfUnreadable)].map(nameOf),
    );
    const isNew = [...listed].some((name) => !known.has(name));
    const manifests = isNew ? await read() : first;
    const seen = manifests.filter((manifest) => listed.has(nameOf(manifest)));
    if (allowUnreadable || seen.length === listed.size) {
      return { manifests: seen, stocks, unreadable: [...unreadable.values()] };
    }
    if (tries < TRIES) continue;
    throw new RunFailedError(
      `two listings of ${repository.location} disagree again and again; nothing is removed`,
      "is somebody removing backups by hand?",
    );
  }
}

function nameOf({ systemIdentifier, id }: Pick<BackupManifest, "systemIdentifier" | "id">): string {
  return `${systemIdentifier}/${id}`;
}

/** What was read and then not listed must be gone: otherwise the listing is not complete. */
async function refuseUnlisted(
  manifests: readonly BackupManifest[],
  { repository, store, ...reading }: ReadOptions & Pick<PruneParts, "repository" | "store">,
): Promise<void> {
  for (const manifest of manifests) {
    const key = `${repository.folder(manifest)}backup.json`;
    if (!await store.head(key, reading)) continue;
    throw new RunFailedError(
      `a listing of ${repository.location} leaves out backup ${manifest.id}, which is there; ` +
        "nothing is removed",
      "does the store answer with parts of its listings?",
    );
  }
}

/** `<system identifier>/<id>` of every backup that has its backup.json. */
export function committedIn(stocks: readonly SystemStock[]): Set<string> {
  return new Set(
    stocks.flatMap(({ systemIdentifier, folders }) =>
      folders.filter(({ committed }) => committed).map(({ id }) => `${systemIdentifier}/${id}`)
    ),
  );
}

function refuseDamaged({ stocks }: Seen): void {
  for (const { folders, systemIdentifier } of stocks) {
    const damaged = folders.find(({ committed, missing }) => committed && missing.length > 0);
    if (!damaged) continue;
    throw new IntegrityError(
      `backup ${damaged.id} of system ${systemIdentifier} is not whole: ${damaged.missing[0]} is ` +
        "missing or has another size; nothing is removed",
      `is the listing complete? if the object is lost for good, remove the backup: "backupctl ` +
        `delete --backup-id ${damaged.id} --force"`,
    );
  }
}

/** A system as plans see it. */
export function pruneSystem(
  { systemIdentifier, segmentBytes, folders, wal }: SystemStock,
  { manifests, notes, live }: {
    readonly manifests: readonly BackupManifest[];
    readonly notes: ReadonlyMap<string, BackupNotes>;
    readonly live: readonly StoredLease[];
  },
): PruneSystem {
  const users = live.filter(({ needs }) => needs?.systemIdentifier === systemIdentifier);
  const from = users.flatMap(({ needs }) => needs!.walFrom === null ? [] : [needs!.walFrom]);
  const stocks = new Map(folders.map((folder) => [folder.id, folder]));
  return {
    systemIdentifier,
    segmentBytes,
    backups: manifests.filter((manifest) => manifest.systemIdentifier === systemIdentifier)
      .map((manifest) => pruneBackup(manifest, { notes, users, folder: stocks.get(manifest.id)! })),
    wal: wal.pieces,
    sideFiles: wal.sideFiles,
    histories: wal.histories,
    ...(from.length > 0 && { walInUseFrom: Math.min(...from) }),
  };
}

function pruneBackup(
  manifest: BackupManifest,
  { notes, users, folder }: {
    readonly notes: ReadonlyMap<string, BackupNotes>;
    readonly users: readonly StoredLease[];
    readonly folder: FolderStock;
  },
): PruneBackup {
  const { id, method, kind, parentId, timeline, startLsn, stopLsn } = manifest;
  const pin = notes.get(id)?.pin;
  const user = users.find(({ needs }) => needs!.backups.includes(id));
  const isPhysical = timeline !== null && startLsn !== null && stopLsn !== null;
  return {
    ...{ id, method, kind, parentId },
    stoppedAt: Date.parse(manifest.stoppedAt),
    storedBytes: folder.bytes,
    wal: isPhysical ? { timeline, startLsn: parseLsn(startLsn), stopLsn: parseLsn(stopLsn) } : null,
    ...(method === "logical" && { databases: heldDatabases(manifest) }),
    ...(pin && { pin: { until: pin.until?.getTime() ?? null } }),
    ...(user && { inUseBy: `${user.holder.what} on host ${user.holder.host}` }),
  };
}

/** Without a policy only leftovers go. */
function nothingGoes(systems: readonly PruneSystem[]): PrunePlan {
  const reason = "there is no policy";
  return {
    keep: systems.flatMap(({ systemIdentifier, backups }) =>
      backups.map((backup) => ({ systemIdentifier, backup, reasons: [reason] }))
    ),
    remove: [],
    sideFiles: [],
    wal: systems.flatMap(({ systemIdentifier, wal }) =>
      wal.map((piece) => ({ ...piece, systemIdentifier, keep: true, reason }))
    ),
  };
}

function removalOf(plan: PrunePlan, { stocks }: Seen, options: PrepareOptions): Removal {
  const { leftovers, notes } = findLeftovers(stocks, options);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    ...plan,
    leftovers,
    seen: committedIn(stocks),
    segmentBytes: new Map(stocks.map((stock) => [stock.systemIdentifier, stock.segmentBytes])),
    notes: [...notes, ...sealedNote(plan)],
    freedBytes: sum([
      ...plan.remove.map(({ backup }) => backup.storedBytes),
      ...plan.wal.filter(({ keep }) => !keep).map(({ bytes }) => bytes),
      ...leftovers.map(({ bytes }) => bytes),
      ...plan.sideFiles.map(({ bytes }) => bytes),
    ]),
  };
}

/** Without a word they would only ever become more, until the store is full. */
function sealedNote({ keep }: PrunePlan): readonly string[] {
  const alone = keep.filter(({ reasons }) => reasons.every((reason) => reason === SEALED_CHOICE));
  if (alone.length < 2) return [];
  return [
    `${alone.length} logical backups of chosen databases stay only because this machine cannot ` +
    "open which databases they hold, and every later one will, too: run prune with --identity " +
    "FILE where the identity is, or back up all databases",
  ];
}
