/**
 * What the repository holds of one system's write-ahead log, from listings alone: memory grows with
 * the gaps, not with the segments.
 *
 * @module
 */
import { type BackupManifest, wholeChains } from "../../catalog/catalog.ts";
import { parseLsn } from "../../domain/lsn.ts";
import type { TimelineHistory } from "../../domain/timeline_history.ts";
import { DEFAULT_WAL_SEGMENT_BYTES, lastSegmentNumber, numberOfName } from "../../domain/wal.ts";
import { parseWalKey, walFolder, type WalPlace } from "../../domain/wal_key.ts";
import type { ArchivedSegment, WalArchive, WalBackup } from "../../domain/wal_windows.ts";
import type { ListOptions, ObjectInfo, ObjectStore, ReadOptions } from "../../storage/storage.ts";
import { readStoredHistory } from "./read_stored_history.ts";

/** Segments in a row, both ends included. */
export interface SegmentRun {
  readonly first: number;
  readonly last: number;
  /** As stored. */
  readonly bytes: number;
  /** When the first one was stored. */
  readonly firstStoredAt?: Date | undefined;
  /** When the last one was stored, as the store tells: no commit in it can be later. */
  readonly lastStoredAt: Date | undefined;
}

/** A history file of the archive. */
export interface StoredHistory {
  readonly history: TimelineHistory;
  /** About when the timeline began: PostgreSQL archives the file at once. */
  readonly storedAt: Date | undefined;
}

/** The archive of one system. */
export interface ArchiveView {
  readonly place: WalPlace;
  readonly segmentBytes: number;
  /** Of each timeline, in the order of the log. */
  readonly runs: ReadonlyMap<number, readonly SegmentRun[]>;
  readonly histories: ReadonlyMap<number, StoredHistory>;
  /** The physical backups of the system, by stop time. */
  readonly backups: readonly BackupManifest[];
  /** Objects that are no WAL file of this place, or history files that make no sense. */
  readonly strangers: readonly string[];
  /** Everything below `wal/`, as stored. */
  readonly storedBytes: number;
}

/** Whose archive to list. */
export interface ArchiveViewOptions extends Omit<ListOptions, "startAfter"> {
  readonly place: WalPlace;
  /** All committed ones of the cluster; those of other systems are left out. */
  readonly backups: readonly BackupManifest[];
  /** Asked for when no backup tells it. @default {16777216} */
  readonly segmentBytes?: number;
}

/** Strangers beyond this are only a nuisance to keep. */
const MAX_STRANGERS = 100;

/**
 * Lists the archive of one system.
 *
 * @throws {StorageError} when the store cannot be asked: an archive half seen is not an archive.
 */
export async function viewArchive(
  store: ObjectStore,
  { place, backups, segmentBytes, ...reading }: ArchiveViewOptions,
): Promise<ArchiveView> {
  const own = physicalBackups(backups, place.systemIdentifier);
  const size = own.at(-1)?.walSegmentBytes ?? segmentBytes ?? DEFAULT_WAL_SEGMENT_BYTES;
  const listing = new Listing(place, size);
  for await (const info of store.list(walFolder(place), reading)) listing.take(info);
  const { histories, strangers } = await readHistories(store, listing.histories, reading);
  return {
    ...{ place, segmentBytes: size, runs: listing.runs, histories, backups: own },
    strangers: [...listing.strangers, ...strangers],
    storedBytes: listing.storedBytes,
  };
}

/**
 * The physical backups of one system, by stop time, oldest first; of increments those that have
 * everything that they are built on.
 */
export function physicalBackups(
  backups: readonly BackupManifest[],
  systemIdentifier: string,
): readonly BackupManifest[] {
  return wholeChains(backups)
    .filter((backup) => backup.method === "physical" && backup.timeline !== null)
    .filter((backup) => backup.startLsn !== null && backup.stopLsn !== null)
    .filter((backup) => backup.systemIdentifier === systemIdentifier)
    .toSorted((a, b) => Date.parse(a.stoppedAt) - Date.parse(b.stoppedAt));
}

/**
 * What windows and gaps are computed from. Backups from before the archive began are left out: they
 * hold their own WAL, but recovery asks the archive first, and where later segments are, an absent
 * one is a gap.
 */
export function walArchive(view: ArchiveView): WalArchive {
  return {
    segmentBytes: view.segmentBytes,
    segments: segmentsOf(view),
    histories: [...view.histories.values()].map(({ history }) => history),
    backups: view.backups.map(walBackup).filter((backup) => !isBeforeArchive(view, backup)),
  };
}

/** What matters of a physical backup when it is rolled forward. */
export function walBackup({ id, timeline, startLsn, stopLsn }: BackupManifest): WalBackup {
  if (timeline === null || startLsn === null || stopLsn === null) {
    throw new TypeError(`${id} is no physical backup`);
  }
  return {
    ...{ id, timeline, includesWal: false },
    ...{ startLsn: parseLsn(startLsn), stopLsn: parseLsn(stopLsn) },
  };
}

function isBeforeArchive({ runs, segmentBytes }: ArchiveView, backup: WalBackup): boolean {
  const first = runs.get(backup.timeline)?.[0]?.first;
  return first === undefined || first > lastSegmentNumber(backup.stopLsn, segmentBytes);
}

function* segmentsOf({ runs }: ArchiveView): Generator<ArchivedSegment> {
  for (const [timeline, row] of runs) {
    for (const { first, last } of row) {
      for (let number = first; number <= last; number++) yield { timeline, number };
    }
  }
}

/** Takes the objects of a listing, which come in the order of the log, timeline by timeline. */
class Listing {
  readonly runs = new Map<number, SegmentRun[]>();
  readonly histories: { readonly timeline: number; readonly info: ObjectInfo }[] = [];
  readonly strangers: string[] = [];
  storedBytes = 0;
  readonly #place: WalPlace;
  readonly #segmentBytes: number;

  constructor(place: WalPlace, segmentBytes: number) {
    this.#place = place;
    this.#segmentBytes = segmentBytes;
  }

  take(info: ObjectInfo): void {
    this.storedBytes += info.size;
    const name = parseWalKey(this.#place, info.key);
    if (name?.kind === "history") this.histories.push({ timeline: name.timeline, info });
    if (name && name.kind !== "segment") return;
    const number = name && numberOfName(name, this.#segmentBytes);
    if (number !== undefined) this.#segment({ timeline: name!.timeline, number }, info);
    else if (this.strangers.length < MAX_STRANGERS) this.strangers.push(info.key);
  }

  #segment({ timeline, number }: ArchivedSegment, { size, lastModified }: ObjectInfo): void {
    const runs = this.runs.get(timeline) ?? [];
    if (runs.length === 0) this.runs.set(timeline, runs);
    const last = runs.at(-1);
    const joined = last !== undefined && last.last + 1 === number;
    const first = joined ? last.first : number;
    const bytes = size + (joined ? last.bytes : 0);
    const firstStoredAt = joined ? last.firstStoredAt : lastModified;
    const run = { first, last: number, bytes, firstStoredAt, lastStoredAt: lastModified };
    if (joined) runs[runs.length - 1] = run;
    else runs.push(run);
  }
}

async function readHistories(
  store: ObjectStore,
  listed: Listing["histories"],
  reading: ReadOptions,
): Promise<{ histories: Map<number, StoredHistory>; strangers: string[] }> {
  const histories = new Map<number, StoredHistory>();
  const strangers: string[] = [];
  for (const { timeline, info } of listed) {
    const history = await readStoredHistory(store, { timeline, key: info.key, ...reading });
    if (history) histories.set(timeline, { history, storedAt: info.lastModified });
    else strangers.push(info.key);
  }
  return { histories, strangers };
}
