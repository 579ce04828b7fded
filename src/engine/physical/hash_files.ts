import { MiB } from "../../domain/bytes.ts";
import { DestinationError } from "../../domain/errors.ts";
import { mapLimited } from "../../domain/map_limited.ts";
import type { HashedFile, HashJob, HashReply, HashRequest } from "./hash_messages.ts";

/** A file to be hashed, with its length if it is known. */
export interface SizedJob extends HashJob {
  /** For dealing the work out only. */
  readonly bytes: number;
}

/** How files are hashed. */
export interface HashOptions {
  /** How many threads. */
  readonly jobs: number;
  /** So many more bytes are done. */
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

/** Small files go to a thread in batches. */
const BATCH_BYTES = 64 * MiB;
const BATCH_FILES = 256;
const MAX_THREADS = 8;

/**
 * The checksums of files, on several threads.
 *
 * @returns in the order of `files`; null for what is absent, or no file.
 * @throws {DestinationError} when one cannot be read.
 */
export async function hashFiles(
  files: readonly SizedJob[],
  { jobs, onProgress = () => {}, signal }: HashOptions,
): Promise<readonly (HashedFile | null)[]> {
  const threads: HashThread[] = [];
  const idle: HashThread[] = [];
  const start = () => {
    const thread = new HashThread();
    threads.push(thread);
    return thread;
  };
  try {
    const count = Math.max(1, Math.min(jobs, MAX_THREADS));
    const batches = await mapLimited(batchesOf(files), count, async (batch) => {
      signal?.throwIfAborted();
      const thread = idle.pop() ?? start();
      const hashed = await thread.hash(batch);
      idle.push(thread);
      onProgress(hashed.reduce((sum, file) => sum + (file?.bytes ?? 0), 0));
      return hashed;
    });
    return batches.flat();
  } finally {
    for (const thread of threads) thread.stop();
  }
}

/** In order, so that the results can be put together again. */
function batchesOf(files: readonly SizedJob[]): readonly HashRequest[] {
  const batches: HashJob[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const { path, algorithm, bytes: size } of files) {
    const last = batches.at(-1);
    if (last && bytes + size <= BATCH_BYTES && last.length < BATCH_FILES) {
      last.push({ path, algorithm });
      bytes += size;
      continue;
    }
    batches.push([{ path, algorithm }]);
    bytes = size;
  }
  return batches;
}

class HashThread {
  readonly #worker = new Worker(new URL("./hash_worker.ts", import.meta.url), { type: "module" });
  #answer = Promise.withResolvers<readonly (HashedFile | null)[]>();

  constructor() {
    this.#worker.onmessage = ({ data }: MessageEvent<HashReply>) => {
      if (data.type === "hashed") this.#answer.resolve(data.files);
      else this.#answer.reject(new DestinationError(`cannot read: ${data.message}`));
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#answer.reject(new Error(`a hashing thread failed: ${event.message}`));
    };
  }

  /** One batch at a time. */
  async hash(batch: HashRequest): Promise<readonly (HashedFile | null)[]> {
    this.#answer = Promise.withResolvers();
    this.#worker.postMessage(batch);
    return await this.#answer.promise;
  }

  stop(): void {
    this.#worker.terminate();
  }
}
