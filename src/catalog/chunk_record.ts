import * as v from "valibot";
import type { ObjectStore, ReadOptions } from "../storage/storage.ts";
import { readTextObject } from "./read_object.ts";

/**
 * What a run writes down of a chunk as soon as it is stored, so that the next run can take it over
 * when this one is cut off. It is a hint and never proof: nothing of it gets into a manifest.
 */
export interface ChunkRecord {
  /** Tells it from other JSON. */
  readonly format: "backupctl.chunk";
  /** Of this form. */
  readonly version: 1;
  /** Of the chunk, relative to the backup's folder: `chunks/0002.tar.zst`. */
  readonly key: string;
  /** As stored. */
  readonly storedBytes: number;
  /** Of the stored bytes, lower-case hexadecimal. */
  readonly sha256: string;
  /** What the store answered; null: nothing. */
  readonly etag: string | null;
  /** The files that it was made of, in their order, as they were listed. */
  readonly files: readonly {
    /** Below the data directory. */
    readonly path: string;
    readonly size: number;
    /** Milliseconds since 1970. */
    readonly modifiedAt: number;
  }[];
}

/** The folder of the records, in that of the backup. */
const RECORDS = "resume/";
/** 128 MiB of the smallest files, with the longest of names. */
const LIMIT_BYTES = 32 * 1024 * 1024;

const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const record = v.object({
  format: v.literal("backupctl.chunk"),
  version: v.literal(1),
  key: v.pipe(v.string(), v.regex(/^chunks\/\d{4,9}\.tar\.(zst|gz)$/)),
  storedBytes: size,
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  etag: v.nullable(v.pipe(v.string(), v.maxLength(1000))),
  files: v.pipe(
    v.array(v.object({ path: v.string(), size, modifiedAt: v.number() })),
    v.minLength(1),
  ),
});

/** `<folder>resume/`: a listing of it finds the records of a backup's folder. */
export function chunkRecordsFolder(folder: string): string {
  return folder + RECORDS;
}

/** Stores a record. @returns its key. */
export async function putChunkRecord(
  store: ObjectStore,
  { folder, number, signal, ...about }:
    & Omit<ChunkRecord, "format" | "version">
    & ReadOptions
    & { readonly folder: string; readonly number: number },
): Promise<string> {
  const key = `${chunkRecordsFolder(folder)}${String(number).padStart(4, "0")}.json`;
  const value: ChunkRecord = { format: "backupctl.chunk", version: 1, ...about };
  const bytes = new TextEncoder().encode(`${JSON.stringify(value)}\n`);
  await store.put(key, bytes, { ifAbsent: true, ...(signal && { signal }) });
  return key;
}

/** Reads a record; undefined when it is none that this program knows. @throws {StorageError} */
export async function readChunkRecord(
  store: ObjectStore,
  key: string,
  reading: ReadOptions = {},
): Promise<ChunkRecord | undefined> {
  const text = await readTextObject(store, key, { limit: LIMIT_BYTES, ...reading });
  try {
    const result = v.safeParse(record, JSON.parse(text));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}
