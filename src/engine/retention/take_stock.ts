import type { BackupManifest } from "../../catalog/catalog.ts";
import { isBackupId } from "../../domain/backup_id.ts";
import { parseLsn } from "../../domain/lsn.ts";
import type { TimelineHistory } from "../../domain/timeline_history.ts";
import { DEFAULT_WAL_SEGMENT_BYTES, lastSegmentNumber, segmentNumber } from "../../domain/wal.ts";
import { parseWalKey, timelineFolder, walFolder, type WalPlace } from "../../domain/wal_key.ts";
import type { ListOptions, ObjectInfo, ObjectStore, ReadOptions } from "../../storage/storage.ts";
import { readStoredHistory } from "../recovery/read_stored_history.ts";
import { WalStock } from "./wal_stock.ts";

/** A folder below `backups/`. */
export interface FolderStock {
  readonly id: string;
  /** With its backup.json: a committed backup. */
  readonly committed: boolean;
  readonly objects: number;
  readonly bytes: number;
  /** Milliseconds since 1970: when its last object was stored; undefined when nobody knows. */
  readonly storedAt: number | undefined;
  /** Objects of its manifest that are absent or of another size. */
  readonly missing: readonly string[];
}

/** Everything of one system. */
export interface SystemStock {
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  readonly folders: readonly FolderStock[];
  readonly wal: WalStock;
}

/** Whose repository to look through. */
export interface StockOptions extends ReadOptions {
  readonly cluster: string;
  /** Every manifest that could be read. */
  readonly manifests: readonly BackupManifest[];
}

/**
 * Lists everything of a cluster once, from its first key to its last, and its history files before.
 * Memory grows with the number of backups and of gaps, not with the number of objects.
 *
 * @throws {StorageError} when the store cannot be asked: a repository half seen is not known.
 */
export async function takeStock(
  store: ObjectStore,
  { cluster, manifests, ...reading }: StockOptions,
): Promise<readonly SystemStock[]> {
  const systems = new Map<string, SystemTaker>();
  for await (const info of store.list(`${cluster}/`, reading)) {
    const [system = "", room = ""] = info.key.slice(cluster.length + 1).split("/", 2);
    if (!/^\d{1,20}$/.test(system)) continue;
    let taker = systems.get(system);
    if (!taker) {
      const place = { cluster, systemIdentifier: system };
      taker = new SystemTaker(place, manifests, await readHistories(store, place, reading));
      systems.set(system, taker);
    }
    taker.take(room, info);
  }
  return [...systems.values()].map((taker) => taker.finish());
}

class SystemTaker {
  readonly #prefix: string;
  readonly #systemIdentifier: string;
  readonly #manifests: ReadonlyMap<string, BackupManifest>;
  readonly #folders: FolderStock[] = [];
  readonly #segmentBytes: number;
  readonly #wal: WalStock;
  #open: FolderTaker | undefined;

  constructor(
    place: WalPlace,
    manifests: readonly BackupManifest[],
    histories: ReadonlyMap<number, TimelineHistory>,
  ) {
    const { cluster, systemIdentifier } = place;
    const own = manifests.filter((manifest) => manifest.systemIdentifier === systemIdentifier);
    this.#prefix = `${cluster}/${systemIdentifier}/`;
    this.#systemIdentifier = systemIdentifier;
    this.#manifests = new Map(own.map((manifest) => [manifest.id, manifest]));
    this.#segmentBytes = own.findLast(({ walSegmentBytes }) => walSegmentBytes !== null)
      ?.walSegmentBytes ?? DEFAULT_WAL_SEGMENT_BYTES;
    const segmentBytes = this.#segmentBytes;
    const cuts = cutsOf(own, { histories, segmentBytes });
    this.#wal = new WalStock(place, { segmentBytes, cuts, histories });
  }

  take(room: string, info: ObjectInfo): void {
    if (room === "wal") this.#wal.take(info);
    if (room !== "backups") return;
    const rest = info.key.slice(this.#prefix.length + "backups/".length);
    const [id = "", ...path] = rest.split("/");
    if (!isBackupId(id) || path.length === 0) return;
    if (this.#open?.id !== id) {
      this.#close();
      this.#open = new FolderTaker(id, this.#manifests.get(id));
    }
    this.#open.take(path.join("/"), info);
  }

  finish(): SystemStock {
    this.#close();
    return {
      systemIdentifier: this.#systemIdentifier,
      segmentBytes: this.#segmentBytes,
      folders: this.#folders,
      wal: this.#wal,
    };
  }

  #close(): void {
    if (this.#open) this.#folders.push(this.#open.finish());
    this.#open = undefined;
  }
}

class FolderTaker {
  readonly id: string;
  readonly #expected: Map<string, number>;
  #committed = false;
  #objects = 0;
  #bytes = 0;
  #storedAt: number | undefined = 0;

  constructor(id: string, manifest: BackupManifest | undefined) {
    this.id = id;
    this.#expected = new Map(manifest?.objects.map(({ key, storedBytes }) => [key, storedBytes]));
  }

  take(name: string, { size, lastModified }: ObjectInfo): void {
    if (name === "backup.json") this.#committed = true;
    this.#objects += 1;
    this.#bytes += size;
    this.#storedAt = lastModified && this.#storedAt !== undefined
      ? Math.max(this.#storedAt, lastModified.getTime())
      : undefined;
    if (this.#expected.get(name) === size) this.#expected.delete(name);
  }

  finish(): FolderStock {
    return {
      id: this.id,
      committed: this.#committed,
      objects: this.#objects,
      bytes: this.#bytes,
      storedAt: this.#storedAt,
      missing: [...this.#expected.keys()],
    };
  }
}

/**
 * Where the need for the log may begin and end: at backups, and where timelines were left. Without
 * the latter a piece would reach further once the backups that cut it are gone, and a removal that
 * was cut off would be finished by another plan than it was begun with.
 */
function cutsOf(
  manifests: readonly BackupManifest[],
  { histories, segmentBytes }: {
    readonly histories: ReadonlyMap<number, TimelineHistory>;
    readonly segmentBytes: number;
  },
): ReadonlySet<number> {
  const cuts = new Set<number>();
  for (const { startLsn, stopLsn } of manifests) {
    if (startLsn === null || stopLsn === null) continue;
    cuts.add(segmentNumber(parseLsn(startLsn), segmentBytes));
    cuts.add(lastSegmentNumber(parseLsn(stopLsn), segmentBytes) + 1);
  }
  for (const { ancestors } of histories.values()) {
    for (const { switchLsn } of ancestors) cuts.add(segmentNumber(switchLsn, segmentBytes) + 1);
  }
  return cuts;
}

/**
 * Every history file that makes sense: of the others it is not known where their timelines came
 * from. Skips the segments: a request or two for each timeline.
 */
async function readHistories(
  store: ObjectStore,
  place: WalPlace,
  reading: ReadOptions,
): Promise<ReadonlyMap<number, TimelineHistory>> {
  const histories = new Map<number, TimelineHistory>();
  const prefix = walFolder(place);
  let startAfter: string | undefined = "";
  while (startAfter !== undefined) {
    const options: ListOptions = { ...reading, ...(startAfter && { startAfter }) };
    startAfter = undefined;
    for await (const { key } of store.list(prefix, options)) {
      const name = parseWalKey(place, key);
      if (name?.kind === "segment") {
        startAfter = `${timelineFolder(place, name.timeline).slice(0, -1)}0`; // "0" follows "/"
        break;
      }
      if (name?.kind !== "history") continue;
      const { timeline } = name;
      const history = await readStoredHistory(store, { timeline, key, ...reading });
      if (history) histories.set(timeline, history);
    }
  }
  return histories;
}
