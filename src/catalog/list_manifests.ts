import type { ObjectStore, ReadOptions } from "../storage/storage.ts";
import { behind, clusterFolder, type ManifestPlace, parseManifestKey } from "./layout.ts";
import { listLeaping, type Step } from "./list_leaping.ts";

/** A manifest that a listing found; nobody has read it yet. */
export interface ManifestKey extends ManifestPlace {
  readonly key: string;
  /** Its length in bytes. */
  readonly size: number;
}

/**
 * Finds the manifests of a cluster by their keys. WAL and the objects of backups are leapt over.
 *
 * @param options.onMisplaced hears of every backup.json that stands where none belongs.
 */
export async function* listManifests(
  store: ObjectStore,
  cluster: string,
  { onMisplaced, ...options }: ReadOptions & { readonly onMisplaced?: (key: string) => void } = {},
): AsyncGenerator<ManifestKey> {
  const next = (key: string) => stepBehind(cluster, key);
  for await (const info of listLeaping(store, clusterFolder(cluster), { next, ...options })) {
    const place = parseManifestKey(cluster, info.key);
    if (place) yield { ...place, key: info.key, size: info.size };
    else if (isMisplaced(cluster, info.key)) onMisplaced?.(info.key);
  }
}

/** A `backup.json` in a folder of `backups` whose name is no backup's. */
function isMisplaced(cluster: string, key: string): boolean {
  return /^[^/]+\/backups\/[^/]+\/backup\.json$/.test(key.slice(cluster.length + 1));
}

/** `backup.json` sorts before `chunks/` and `globals…`: behind it nothing of interest is left. */
function stepBehind(cluster: string, key: string): Step | undefined {
  const [system, room, id, name] = key.slice(cluster.length + 1).split("/");
  if (system === undefined || room === undefined) return undefined;
  const folder = `${clusterFolder(cluster)}${system}/${room}/`;
  if (room !== "backups") return { leapTo: behind(folder), far: room === "wal" };
  if (id === undefined || name === undefined || name < "backup.json") return undefined;
  return { leapTo: behind(`${folder}${id}/`), far: false };
}
