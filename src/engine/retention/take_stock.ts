import type { BackupManifest } from "../../catalog/catalog.ts";
import { isBackupId } from "../../domain/backup_id.ts";
import { IntegrityError, ObjectMissingError } from "../../domain/errors.ts";
import { parseLsn } from "../../domain/lsn.ts";
import { parseTimelineHistory } from "../../domain/timeline_history.ts";
import { DEFAULT_WAL_SEGMENT_BYTES, lastSegmentNumber, segmentNumber } from "../../domain/wal.ts";
import type { ObjectInfo, ObjectStore, ReadOptions } from "../../storage/storage.ts";
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

/** More history than any cluster has. */
const HISTORY_LIMIT_BYTES = 128 * 1024;

/**
 * Lists everything of a cluster once, from its first key to its last. Memory grows with the number
 * of backups and of gaps, not with the number of objects.
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
    const taker = systems.get(system) ?? new SystemTaker(cluster, system, manifests);
    systems.set(system, taker);
    taker.take(room, info);
  }
  const stocks: SystemStock[] = [];
  for (const taker of systems.values()) stocks.push(await taker.finish(store, reading));
  return stocks;
}

class SystemTaker {
  readonly #prefix: string;
  readonly #systemIdentifier: string;
  readonly #manifests: ReadonlyMap<string, BackupManifest>;
  readonly #folders: FolderStock[] = [];
  readonly #segmentBytes: number;
  readonly #wal: WalStock;
  #open: FolderTaker | undefined;

  constructor(cluster: string, systemIdentifier: string, manifests: readonly BackupManifest[]) {
    const own = manifests.filter((manifest) => manifest.systemIdentifier === systemIdentifier);
    this.#prefix = `${cluster}/${systemIdentifier}/`;
    this.#systemIdentifier = systemIdentifier;
    this.#manifests = new Map(own.map((manifest) => [manifest.id, manifest]));
    this.#segmentBytes = own.findLast(({ walSegmentBytes }) => walSegmentBytes !== null)
      ?.walSegmentBytes ?? DEFAULT_WAL_SEGMENT_BYTES;
    const place = { cluster, systemIdentifier };
    const cuts = cutsOf(own, this.#segmentBytes);
    this.#wal = new WalStock(place, { segmentBytes: this.#segmentBytes, cuts });
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

  async finish(store: ObjectStore, reading: ReadOptions): Promise<SystemStock> {
    this.#close();
    for (const [timeline, key] of this.#wal.historyKeys) {
      const history = await readHistory(store, { timeline, key, ...reading });
      if (history) this.#wal.histories.set(timeline, history);
    }
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

/** Where the need for the log may begin and end. */
function cutsOf(manifests: readonly BackupManifest[], segmentBytes: number): ReadonlySet<number> {
  const cuts = new Set<number>();
  for (const { startLsn, stopLsn } of manifests) {
    if (startLsn === null || stopLsn === null) continue;
    cuts.add(segmentNumber(parseLsn(startLsn), segmentBytes));
    cuts.add(lastSegmentNumber(parseLsn(stopLsn), segmentBytes) + 1);
  }
  return cuts;
}

/** Undefined when it makes no sense: then nothing is known of where the timeline came from. */
async function readHistory(
  store: ObjectStore,
  { timeline, key, ...reading }: ReadOptions & { readonly timeline: number; readonly key: string },
) {
  try {
    let text = "";
    const decoder = new TextDecoder();
    for await (const part of await store.get(key, reading)) {
      text += decoder.decode(part, { stream: true });
      if (text.length > HISTORY_LIMIT_BYTES) return undefined;
    }
    return parseTimelineHistory(timeline, text);
  } catch (error) {
    if (error instanceof IntegrityError || error instanceof ObjectMissingError) return undefined;
    throw error;
  }
}
