import type { ListOptions, ObjectInfo, ObjectStore } from "../storage/storage.ts";
import {
  backupFolder,
  behind,
  clusterFolder,
  MANIFEST_NAME,
  type ManifestPlace,
  parseManifestKey,
} from "./layout.ts";
import { listLeaping, type Step } from "./list_leaping.ts";
import type { UnfinishedBackup } from "./unfinished_backup.ts";

/** A manifest that a listing found; nobody has read it yet. */
export interface ManifestKey extends ManifestPlace {
  /** Of its backup.json. */
  readonly key: string;
  /** Its length in bytes. */
  readonly size: number;
}

/** What a listing of manifests tells of beside them. */
export interface ManifestListing extends ListOptions {
  /** Hears of every backup.json that stands where none belongs. */
  readonly onMisplaced?: (key: string) => void;
  /** Hears of every folder that has no backup.json. */
  readonly onUnfinished?: (backup: UnfinishedBackup) => void;
}

/**
 * Finds the manifests of a cluster by their keys. WAL and the objects of backups are leapt over;
 * those of unfinished backups only while nobody asks for them.
 */
export async function* listManifests(
  store: ObjectStore,
  cluster: string,
  { onMisplaced, onUnfinished, ...options }: ManifestListing = {},
): AsyncGenerator<ManifestKey> {
  const folders = onUnfinished && new FolderWatch(cluster, onUnfinished);
  const next = (info: ObjectInfo) => {
    const open = folders?.take(info) ?? false;
    return stepBehind(cluster, info.key, { open });
  };
  for await (const info of listLeaping(store, clusterFolder(cluster), { next, ...options })) {
    const place = parseManifestKey(cluster, info.key);
    if (place) yield { ...place, key: info.key, size: info.size };
    else if (isMisplaced(cluster, info.key)) onMisplaced?.(info.key);
  }
  folders?.end();
}

/** A `backup.json` in a folder of `backups` whose name is no backup's. */
function isMisplaced(cluster: string, key: string): boolean {
  return /^[^/]+\/backups\/[^/]+\/backup\.json$/.test(key.slice(cluster.length + 1));
}

/**
 * `backup.json` sorts before `chunks/` and `globals…`: behind it nothing of interest is left.
 *
 * @param options.open the folder's own objects are of interest, since it has no backup.json.
 */
function stepBehind(
  cluster: string,
  key: string,
  { open }: { readonly open: boolean },
): Step | undefined {
  const [system, room, id, name] = key.slice(cluster.length + 1).split("/");
  if (system === undefined || room === undefined) return undefined;
  if (system === "keys") return { leapTo: behind(`${clusterFolder(cluster)}keys/`), far: true };
  const folder = `${clusterFolder(cluster)}${system}/${room}/`;
  if (room !== "backups") return { leapTo: behind(folder), far: room === "wal" };
  if (id === undefined || name === undefined || name < MANIFEST_NAME || open) return undefined;
  return { leapTo: behind(`${folder}${id}/`), far: false };
}

/** Follows a listing from folder to folder and tells of those that had no manifest. */
class FolderWatch {
  readonly #cluster: string;
  readonly #tell: (backup: UnfinishedBackup) => void;
  #current: UnfinishedBackup | undefined;
  #committed = false;

  constructor(cluster: string, tell: (backup: UnfinishedBackup) => void) {
    this.#cluster = cluster;
    this.#tell = tell;
  }

  /** @returns whether the object's folder has no manifest so far. */
  take({ key, size, lastModified }: ObjectInfo): boolean {
    const place = placeOf(this.#cluster, key);
    if (!place || place.id !== this.#current?.id || this.#isOfOtherSystem(place)) this.end();
    if (!place) return false;
    const known = this.#current ??
      { ...place, objects: 0, storedBytes: 0, lastStoredAt: undefined };
    this.#committed ||= key.endsWith(`/${place.id}/${MANIFEST_NAME}`);
    this.#current = {
      ...known,
      objects: known.objects + 1,
      storedBytes: known.storedBytes + size,
      lastStoredAt: later(known.lastStoredAt, lastModified),
    };
    return !this.#committed;
  }

  end(): void {
    if (this.#current && !this.#committed) this.#tell(this.#current);
    this.#current = undefined;
    this.#committed = false;
  }

  #isOfOtherSystem({ systemIdentifier }: ManifestPlace): boolean {
    return systemIdentifier !== this.#current?.systemIdentifier;
  }
}

/** Which backup's folder a key lies in: as {@link parseManifestKey}, for any object of it. */
function placeOf(cluster: string, key: string): ManifestPlace | undefined {
  const [systemIdentifier = "", room, id = "", name] = key.slice(cluster.length + 1).split("/");
  if (room !== "backups" || name === undefined) return undefined;
  const folder = backupFolder(cluster, { systemIdentifier, id });
  return parseManifestKey(cluster, folder + MANIFEST_NAME);
}

function later(a: Date | undefined, b: Date | undefined): Date | undefined {
  return a && b ? (a > b ? a : b) : a ?? b;
}
