import { mapLimited } from "../domain/map_limited.ts";
import { IntegrityError, StorageError } from "../domain/errors.ts";
import type { ObjectStore, ReadOptions } from "../storage/storage.ts";
import { type ChunkRecord, chunkRecordsFolder, readChunkRecord } from "./chunk_record.ts";
import { backupFolder } from "./layout.ts";
import { listManifests } from "./list_manifests.ts";

/** More runs than these were hardly cut off one after the other. */
const MAX_RUNS = 8;
/** Requests for small objects at a time. */
const CONCURRENCY = 8;

/** A chunk in the folder of a backup that was never committed. */
export interface AbandonedChunk {
  /** Of the backup that was begun. */
  readonly backupId: string;
  /** Prefix of the keys of its objects, with a slash at its end. */
  readonly folder: string;
  /** What its run said of it. */
  readonly record: ChunkRecord;
}

/** Which ones are of use. */
export interface AbandonedOptions extends ReadOptions {
  /** Its name in the store. */
  readonly cluster: string;
  /** PostgreSQL's own. */
  readonly systemIdentifier: string;
  /** The run that asks: of the others, those of the same kind count. */
  readonly backupId: string;
}

/**
 * The chunks that earlier runs of the same kind stored in folders without a backup.json, those of
 * the newest run first. Whether the run is dead or still going does not matter: nothing of it is
 * ever changed.
 *
 * @throws {StorageError} when the store cannot be asked.
 */
export async function findAbandonedChunks(
  store: ObjectStore,
  { cluster, systemIdentifier, backupId, ...reading }: AbandonedOptions,
): Promise<readonly AbandonedChunk[]> {
  const runs: string[] = [];
  const listing = listManifests(store, cluster, {
    ...reading,
    onForeign: () => {},
    onUnfinished: (backup) => {
      if (backup.systemIdentifier === systemIdentifier) runs.push(backup.id);
    },
  });
  for await (const _ of listing);
  const others = runs.filter((id) => id !== backupId && kindOf(id) === kindOf(backupId));
  const found: AbandonedChunk[] = [];
  for (const id of others.sort().reverse().slice(0, MAX_RUNS)) {
    const folder = backupFolder(cluster, { systemIdentifier, id });
    for (const record of await readRecords(store, folder, reading)) {
      found.push({ backupId: id, folder, record });
    }
  }
  return found;
}

async function readRecords(
  store: ObjectStore,
  folder: string,
  reading: ReadOptions,
): Promise<readonly ChunkRecord[]> {
  const infos = await Array.fromAsync(store.list(chunkRecordsFolder(folder), reading));
  const records = await mapLimited(infos, CONCURRENCY, async ({ key }) => {
    try {
      return await readChunkRecord(store, key, reading);
    } catch (error) {
      // Its run has just removed it, or it is damaged: neither is worth more than the chunk.
      if (error instanceof StorageError || error instanceof IntegrityError) return undefined;
      throw error;
    }
  });
  return records.filter((record) => record !== undefined);
}

/** `F` or `I`. */
function kindOf(id: string): string {
  return id.slice(0, "YYYYMMDDTHHMMSSZ-X".length).slice(-1);
}
