import { createHash } from "node:crypto";
import type { ManifestObject, ObjectRole } from "../../catalog/catalog.ts";
import type { Codec } from "../../codec/codec.ts";
import type { Bytes } from "../../domain/bytes.ts";
import { StorageError } from "../../domain/errors.ts";
import type { ObjectStore } from "../../storage/storage.ts";

/** Where an upload goes and what it is. */
export interface UploadOptions {
  /** Prefix of the key, with a slash at its end. */
  readonly folder: string;
  /** Relative to the folder. */
  readonly key: string;
  readonly role: ObjectRole;
  readonly codec: Codec;
  /** Whether what is written has to be cut into blocks; see {@link Codec.encode}. */
  readonly cut: boolean;
  readonly signal?: AbortSignal;
}

/** One object on its way: raw bytes in, compressed, counted and hashed, into the store. */
export class ObjectUpload {
  /** Settles with the store's answer; its rejection need not be watched. */
  readonly finished: Promise<ManifestObject>;
  readonly #writer: WritableStreamDefaultWriter<Bytes>;
  readonly #hash = createHash("sha256");
  #rawBytes = 0;
  #storedBytes = 0;

  constructor(store: ObjectStore, options: UploadOptions) {
    const { codec, cut, folder, key, signal } = options;
    const encoder = codec.encode({ cut, name: `${folder}${key}`, ...(signal && { signal }) });
    this.#writer = encoder.writable.getWriter();
    // Its failures arrive at write and at finished as well.
    this.#writer.closed.catch(() => {});
    this.finished = this.#put(store, encoder.readable, options);
    this.finished.catch((error) => this.abort(error));
  }

  /**
   * Waits for room, not for the store. The buffer is given away unless `cut` is set.
   *
   * @throws what the store or the codec failed with.
   */
  async write(bytes: Bytes): Promise<void> {
    await this.#writer.ready.catch(() => this.finished);
    this.#rawBytes += bytes.length;
    this.#writer.write(bytes).catch(() => {});
  }

  /** No more bytes will come. */
  close(): void {
    this.#writer.close().catch(() => {});
  }

  /** Gives up; the store keeps nothing of an unfinished object. */
  abort(reason: unknown): void {
    this.#writer.abort(reason).catch(() => {});
  }

  async #put(
    store: ObjectStore,
    stored: ReadableStream<Bytes>,
    { folder, key, role, signal }: UploadOptions,
  ): Promise<ManifestObject> {
    const info = await store.put(
      `${folder}${key}`,
      stored.pipeThrough(this.#meter()),
      { ifAbsent: true, ...(signal && { signal }) },
    );
    if (info.size !== this.#storedBytes) {
      throw new StorageError(
        `object ${folder}${key} has ${info.size} bytes in the store, ${this.#storedBytes} were sent`,
      );
    }
    const sha256 = this.#hash.digest("hex");
    return { key, role, rawBytes: this.#rawBytes, storedBytes: this.#storedBytes, sha256 };
  }

  #meter(): TransformStream<Bytes, Bytes> {
    return new TransformStream<Bytes, Bytes>({
      transform: (bytes, controller) => {
        this.#hash.update(bytes);
        this.#storedBytes += bytes.length;
        controller.enqueue(bytes);
      },
    });
  }
}
