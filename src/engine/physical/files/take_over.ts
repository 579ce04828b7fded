import { type AbandonedChunk, putChunkRecord, type TakenOver } from "../../../catalog/catalog.ts";
import { StorageError } from "../../../domain/errors.ts";
import type { DataFile } from "../../../postgres/postgres.ts";
import type { ObjectInfo, ObjectStore } from "../../../storage/storage.ts";
import type { PackedChunk } from "./file_messages.ts";

/** So often what looked the same turns out to be another before nobody tries any more. */
const MAX_MISSES = 8;

/** What is copied from one folder to another. */
interface Transfer {
  /** Full key of the copy. */
  readonly key: string;
  readonly candidate: AbandonedChunk;
  /** What this run has just read, compressed and hashed. */
  readonly packed: PackedChunk;
}

/**
 * Takes over chunks of runs that were cut off, and writes down this run's own for the next one.
 *
 * A chunk is taken over when the bytes that this run has read, packed and hashed by itself have the
 * SHA-256 of the stored ones: so a manifest never says anything that its run did not see. A damaged
 * or forged record can only cost time.
 */
export class TakeOver {
  readonly #store: ObjectStore;
  readonly #folder: string;
  readonly #note: (text: string) => void;
  readonly #signal: AbortSignal;
  readonly #records: Promise<string | undefined>[] = [];
  readonly #from = new Set<string>();
  #objects = 0;
  #storedBytes = 0;
  #misses = 0;
  #refused = false;

  constructor(
    store: ObjectStore,
    { folder, note, signal }: {
      /** Of this run, with a slash at its end. */
      readonly folder: string;
      readonly note: (text: string) => void;
      readonly signal: AbortSignal;
    },
  ) {
    this.#store = store;
    this.#folder = folder;
    this.#note = note;
    this.#signal = signal;
  }

  /** Whether it is worth reading files only to compare them: the chunk lies where it was stored. */
  async isWorthReading({ folder, record }: AbandonedChunk): Promise<boolean> {
    if (this.#refused || (this.#objects === 0 && this.#misses >= MAX_MISSES)) return false;
    const found = await this.#orRefused(() =>
      this.#store.head(folder + record.key, { signal: this.#signal })
    );
    return found?.size === record.storedBytes;
  }

  /** The copy; undefined when the stored chunk is another one, or nobody can be certain. */
  async copy({ key, candidate, packed }: Transfer): Promise<ObjectInfo | undefined> {
    const { storedBytes: size, sha256 } = packed;
    const { record } = candidate;
    if (record.sha256 !== sha256 || record.storedBytes !== size) {
      this.#misses += 1;
      return undefined;
    }
    const etag = record.etag === null ? {} : { etag: record.etag };
    const how = { size, sha256, ...etag, signal: this.#signal };
    const info = await this.#orRefused(async () =>
      await this.#store.copy?.(candidate.folder + record.key, key, how)
    );
    if (info) this.#count(candidate, size);
    else this.#misses += 1;
    // A copy whose answer was lost would stand in the way of the upload.
    if (this.#refused) await this.#store.delete([key]).catch(() => {});
    return info;
  }

  /** Writes down what is stored, while the run goes on. That it cannot is no reason to fail. */
  record(
    { number, key, files, packed, info }: {
      readonly number: number;
      /** Below the folder. */
      readonly key: string;
      readonly files: readonly DataFile[];
      readonly packed: PackedChunk;
      readonly info: ObjectInfo;
    },
  ): void {
    const { storedBytes, sha256 } = packed;
    const about = { key, storedBytes, sha256, etag: info.etag ?? null, files };
    const where = { folder: this.#folder, number, signal: this.#signal };
    this.#records.push(
      putChunkRecord(this.#store, { ...about, ...where }).catch(() => undefined),
    );
  }

  /** Waits until nothing is written any more. @returns the keys of the records. */
  async settled(): Promise<readonly string[]> {
    return (await Promise.all(this.#records)).filter((key) => key !== undefined);
  }

  /** What was taken over; undefined: nothing. */
  get tally(): TakenOver | undefined {
    if (this.#objects === 0) return undefined;
    const from = [...this.#from].sort();
    return { objects: this.#objects, storedBytes: this.#storedBytes, from };
  }

  /** A store that refuses is not asked again: it is no reason to fail. */
  async #orRefused<T>(ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      if (!this.#refused) this.#note(`nothing more is taken over: ${error.message}`);
      this.#refused = true;
      return undefined;
    }
  }

  #count({ backupId }: AbandonedChunk, storedBytes: number): void {
    this.#objects += 1;
    this.#storedBytes += storedBytes;
    this.#from.add(backupId);
  }
}
