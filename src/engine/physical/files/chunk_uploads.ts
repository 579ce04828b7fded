import { createHash } from "node:crypto";
import type { AbandonedChunk, ManifestObject } from "../../../catalog/catalog.ts";
import type { Codec, CodecPool } from "../../../codec/codec.ts";
import type { Bytes } from "../../../domain/bytes.ts";
import { StorageError } from "../../../domain/errors.ts";
import type { DataFile } from "../../../postgres/postgres.ts";
import type { ObjectStore } from "../../../storage/storage.ts";
import type { ChunkEntry, PackedChunk } from "./file_messages.ts";
import type { ChunkInTheMaking, FileThread } from "./file_thread.ts";
import { IdleThreads } from "./idle_threads.ts";
import type { TakeOver } from "./take_over.ts";

/** Where chunks go. */
export interface ChunkDestination {
  readonly store: ObjectStore;
  /** Prefix of the keys, with a slash at its end. */
  readonly folder: string;
  /** They may encrypt what the threads compressed. */
  readonly codecs: CodecPool;
  /** Of compressed objects. */
  readonly extension: Codec["extension"];
  /** Called with raw bytes as they are read; the next block waits for its promise. */
  readonly pace: (rawBytes: number) => void | Promise<void>;
  /** Called with raw bytes that are on their way into the store, or there already. */
  readonly advance: (rawBytes: number) => void;
  /** Absent: nothing is taken over, and nothing written down for the next run. */
  readonly takeOver?: TakeOver;
  readonly signal: AbortSignal;
}

/** What becomes one chunk. */
export interface ChunkPlan {
  /** Made when it is time: of all chunks at once they would be as many as the cluster's files. */
  readonly entries: () => readonly ChunkEntry[];
  /** The same files as they were listed; absent: the chunk is of no use to another run. */
  readonly files?: readonly DataFile[];
  /** What an earlier run made of them. */
  readonly candidate?: AbandonedChunk;
}

type NumberedPlan = ChunkPlan & { readonly number: number };

/** What was stored and what is in it. */
export interface StoredChunk {
  /** Counted from 1. */
  readonly number: number;
  readonly object: ManifestObject;
  readonly packed: PackedChunk;
}

/**
 * Stores chunks on several threads, each as soon as one is free; the last ones by all together.
 *
 * @throws the first failure, when all threads have come to rest.
 */
export class ChunkUploads {
  readonly #threads: readonly FileThread[];
  readonly #destination: ChunkDestination;
  #last = 0;
  #idle = new IdleThreads<FileThread>();

  constructor(threads: readonly FileThread[], destination: ChunkDestination) {
    this.#threads = threads;
    this.#destination = destination;
  }

  /** Makes one chunk of each plan, in this order, side by side. */
  async store(chunks: readonly ChunkPlan[]): Promise<readonly StoredChunk[]> {
    const waiting = chunks.map((plan) => ({ ...plan, number: ++this.#last }));
    const stored: StoredChunk[] = [];
    this.#idle = new IdleThreads();
    let failure: { readonly error: unknown } | undefined;
    const work = async (thread: FileThread) => {
      for (let next = waiting.shift(); next && !failure; next = waiting.shift()) {
        stored.push(await this.#put(thread, next));
      }
      if (!failure) this.#idle.rest(thread);
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

  async #put(thread: FileThread, plan: NumberedPlan): Promise<StoredChunk> {
    return await this.#takeOver(thread, plan) ?? await this.#upload(thread, plan);
  }

  /** Reads the chunk as if it were to be stored; what is stored already is not sent again. */
  async #takeOver(
    thread: FileThread,
    { entries, files, candidate, number }: NumberedPlan,
  ): Promise<StoredChunk | undefined> {
    const { takeOver, folder, pace, advance } = this.#destination;
    if (!candidate || !takeOver || !await takeOver.isWorthReading(candidate)) return undefined;
    const { stored, packed } = this.#pack(thread, entries(), pace);
    for await (const _ of stored);
    const chunk = await packed;
    const key = this.#key(number);
    const info = await takeOver.copy({ key: folder + key, candidate, packed: chunk });
    if (!info) return undefined;
    advance(chunk.rawBytes);
    if (files) takeOver.record({ number, key, files, packed: chunk, info });
    return described(chunk, { key, number });
  }

  async #upload(
    thread: FileThread,
    { entries, files, number }: NumberedPlan,
  ): Promise<StoredChunk> {
    const { store, codecs, folder, pace, advance, takeOver, signal } = this.#destination;
    const key = this.#key(number);
    const { stored, packed } = this.#pack(thread, entries(), (rawBytes) => {
      advance(rawBytes);
      return pace(rawBytes);
    });
    const seal = codecs.sealing ? new Sealed(codecs.seal!(`${folder}${key}`)) : undefined;
    const body = seal ? stored.pipeThrough(copies()).pipeThrough(seal) : stored;
    const info = await store.put(`${folder}${key}`, body, { ifAbsent: true, signal });
    const chunk = { ...await packed, ...seal?.form() };
    if (info.size !== chunk.storedBytes) {
      throw new StorageError(
        `object ${folder}${key} has ${info.size} bytes in the store, ${chunk.storedBytes} were sent`,
      );
    }
    if (files) takeOver?.record({ number, key, files, packed: chunk, info });
    return described(chunk, { key, number });
  }

  /** Begins a chunk, with the help of those that have none. */
  #pack(thread: FileThread, ...chunk: Parameters<FileThread["pack"]>): ChunkInTheMaking {
    const making = thread.pack(...chunk);
    this.#idle.begin(thread);
    const end = () => this.#idle.end(thread);
    making.packed.then(end, end);
    return making;
  }

  #key(number: number): string {
    return `chunks/${String(number).padStart(4, "0")}.tar${this.#destination.extension}`;
  }
}

function described(
  packed: PackedChunk,
  { key, number }: { readonly key: string; readonly number: number },
): StoredChunk {
  const { rawBytes, storedBytes, sha256, files } = packed;
  const object = { key, role: "chunk", files, rawBytes, storedBytes, sha256 } as const;
  return { number, object, packed };
}

/** Stages behind each other hold several chunks at a time. */
function copies(): TransformStream<Bytes, Bytes> {
  return new TransformStream({
    transform: (bytes, controller) => controller.enqueue(bytes.slice()),
  });
}

/** Encrypts, and tells what came of it: the threads have hashed what is now inside. */
class Sealed implements TransformStream<Bytes, Bytes> {
  readonly writable: WritableStream<Bytes>;
  readonly readable: ReadableStream<Bytes>;
  readonly #hash = createHash("sha256");
  #storedBytes = 0;

  constructor({ writable, readable }: TransformStream<Bytes, Bytes>) {
    this.writable = writable;
    this.readable = readable.pipeThrough(
      new TransformStream<Bytes, Bytes>({
        transform: (bytes, controller) => {
          this.#hash.update(bytes);
          this.#storedBytes += bytes.length;
          controller.enqueue(bytes);
        },
      }),
    );
  }

  form(): { readonly storedBytes: number; readonly sha256: string } {
    return { storedBytes: this.#storedBytes, sha256: this.#hash.digest("hex") };
  }
}
