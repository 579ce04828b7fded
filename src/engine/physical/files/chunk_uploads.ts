import { createHash } from "node:crypto";
import type { ManifestObject } from "../../../catalog/catalog.ts";
import type { Codec, CodecPool } from "../../../codec/codec.ts";
import type { Bytes } from "../../../domain/bytes.ts";
import { StorageError } from "../../../domain/errors.ts";
import type { ObjectStore } from "../../../storage/storage.ts";
import type { ChunkEntry, PackedChunk } from "./file_messages.ts";
import type { FileThread } from "./file_thread.ts";

/** Where chunks go. */
export interface ChunkDestination {
  readonly store: ObjectStore;
  /** Prefix of the keys, with a slash at its end. */
  readonly folder: string;
  /** They may encrypt what the threads compressed. */
  readonly codecs: CodecPool;
  /** Of compressed objects. */
  readonly extension: Codec["extension"];
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
    const { store, codecs, folder, extension, onBlock, signal } = this.#destination;
    const key = `chunks/${String(number).padStart(4, "0")}.tar${extension}`;
    const { stored, packed } = thread.pack(entries, onBlock);
    const seal = codecs.sealing ? new Sealed(codecs.seal!(`${folder}${key}`)) : undefined;
    const body = seal ? stored.pipeThrough(copies()).pipeThrough(seal) : stored;
    const info = await store.put(`${folder}${key}`, body, { ifAbsent: true, signal });
    const chunk = await packed;
    const { rawBytes } = chunk;
    const { storedBytes, sha256 } = seal ? seal.form() : chunk;
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
