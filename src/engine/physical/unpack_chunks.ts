import type { ManifestObject } from "../../catalog/catalog.ts";
import { mapLimited } from "../../domain/map_limited.ts";
import type { RestoreParts } from "../parts.ts";
import { namingObject } from "../naming_object.ts";
import type { UnpackedChunk, UnpackSetup } from "./unpack_messages.ts";
import type { UnpackThreads } from "./unpack_thread.ts";

/** More threads than this wait for the disk and for the main thread. */
const MAX_THREADS = 8;

/** What to unpack, and where to. */
export interface UnpackChunksOptions {
  /** Prefix of the chunks' keys. */
  readonly folder: string;
  readonly chunks: readonly ManifestObject[];
  /** Whether they are encrypted. */
  readonly sealed: boolean;
  readonly setup: UnpackSetup;
  readonly threads: UnpackThreads;
  /** How many of them. */
  readonly jobs: number;
  readonly signal?: AbortSignal;
}

/**
 * Unpacks chunks on several threads, the largest first. The first failure stops all of them.
 *
 * @returns the sum of what was written.
 * @throws {IntegrityError} naming the object that is damaged or missing.
 * @throws {DestinationError} when a file cannot be written.
 */
export async function unpackChunks(
  { store, codecs, progress }: RestoreParts,
  { folder, chunks, sealed, setup, threads, jobs, signal }: UnpackChunksOptions,
): Promise<UnpackedChunk> {
  const failed = new AbortController();
  const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  const largestFirst = chunks.toSorted((left, right) => right.rawBytes - left.rawBytes);
  const source = threads.begin(setup);
  const count = Math.max(1, Math.min(jobs, MAX_THREADS));
  const unpacked = await mapLimited(largestFirst, count, async (object) => {
    const thread = source.take();
    const chunk = await namingObject(`${folder}${object.key}`, async (key) => {
      const stored = await store.get(key, { signal: either });
      const onProgress = (rawBytes: number) => progress.advance(rawBytes);
      const options = { onProgress, signal: either };
      if (!sealed) return await thread.unpack(stored, { expected: object, ...options });
      // WebCrypto opens on threads of its own; the thread gets what was compressed.
      const opened = stored.pipeThrough(codecs.unseal!(key, { expected: object, ...options }));
      return await thread.unpack(opened, { expected: { rawBytes: object.rawBytes }, ...options });
    }).catch((error) => {
      failed.abort(error);
      throw error;
    });
    source.give(thread);
    return chunk;
  });
  source.end();
  return sum(unpacked);
}

function sum(chunks: readonly UnpackedChunk[]): UnpackedChunk {
  return {
    files: chunks.reduce((files, chunk) => files + chunk.files, 0),
    listed: chunks.reduce((listed, chunk) => listed + chunk.listed, 0),
    created: chunks.flatMap(({ created }) => created),
    required: chunks.flatMap(({ required }) => required),
  };
}
