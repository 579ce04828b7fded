import type { ManifestObject } from "../../../catalog/catalog.ts";
import type { Codec } from "../../../codec/codec.ts";
import { StorageError } from "../../../domain/errors.ts";
import type { ObjectStore } from "../../../storage/storage.ts";
import type { ChunkEntry, PackedChunk } from "./file_messages.ts";
import type { FileThread } from "./file_thread.ts";

/** Where chunks go. */
export interface ChunkDestination {
  readonly store: ObjectStore;
  /** Prefix of the keys, with a slash at its end. */
  readonly folder: string;
  readonly codec: Codec;
  /** Called with raw bytes; the next block waits for its promise. */
  readonly onBlock: (rawBytes: number) => void | Promise<void>;
  readonly signal: AbortSignal;
}

/** What was stored and what is in it. */
export interface StoredChunk {
  /** Counted from 1. */
  readonly number: number;
  readonly object: ManifestObject;
  readonly packed: PackedChunk;
}

/**
 * Stores chunks on several threads, each as soon as one is free.
 *
 * @throws the first failure, when all threads have come to rest.
 */
export class ChunkUploads {
  readonly #threads: readonly FileThread[];
  readonly #destination: ChunkDestination;
  #last = 0;

  constructor(threads: readonly FileThread[], destination: ChunkDestination) {
    this.#threads = threads;
    this.#destination = destination;
  }

  /** Makes one chunk of each list of entries, in this order, side by side. */
  async store(chunks: readonly (readonly ChunkEntry[])[]): Promise<readonly StoredChunk[]> {
    const waiting = chunks.map((entries) => ({ entries, number: ++this.#last }));
    const stored: StoredChunk[] = [];
    let failure: { readonly error: unknown } | undefined;
    const work = async (thread: FileThread) => {
      for (let next = waiting.shift(); next && !failure; next = waiting.shift()) {
        stored.push(await this.#put(thread, next));
      }
    };
    await Promise.all(this.#threads.map((thread) =>
      work(thread).catch((error) => {
        failure ??= { error };
        // The others would go on with chunks that nobody wants.
        for (const other of this.#threads) other.stop(error);
      })
    ));
    if (failure) throw failure.error;
    return stored.sort((one, other) => one.number - other.number);
  }

  async #put(
    thread: FileThread,
    { entries, number }: { readonly entries: readonly ChunkEntry[]; readonly number: number },
  ): Promise<StoredChunk> {
    const { store, folder, codec, onBlock, signal } = this.#destination;
    const key = `chunks/${String(number).padStart(4, "0")}.tar${codec.extension}`;
    const { stored, packed } = thread.pack(entries, onBlock);
    const info = await store.put(`${folder}${key}`, stored, { ifAbsent: true, signal });
    const chunk = await packed;
    const { rawBytes, storedBytes, sha256 } = chunk;
    if (info.size !== storedBytes) {
      throw new StorageError(
        `object ${folder}${key} has ${info.size} bytes in the store, ${storedBytes} were sent`,
      );
    }
    const files = chunk.files.length;
    const object = { key, role: "chunk", files, rawBytes, storedBytes, sha256 } as const;
    return { number, object, packed: chunk };
  }
}
