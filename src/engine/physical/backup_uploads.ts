import type { ManifestObject } from "../../catalog/catalog.ts";
import type { Codec } from "../../codec/codec.ts";
import type { Bytes } from "../../domain/bytes.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import type { ChunkBlock } from "./chunk_cutter.ts";
import { ObjectUpload } from "./object_upload.ts";

/** The object being filled and one whose end is still under way: the server never waits for a tail. */
const MAX_UPLOADS = 2;

/** The objects of one physical backup on their way into the store. */
export class BackupUploads {
  readonly #store: ObjectStore;
  readonly #where: {
    readonly folder: string;
    readonly codec: Codec;
    readonly signal?: AbortSignal;
  };
  readonly #objects: Promise<ManifestObject>[] = [];
  readonly #running = new Set<Promise<unknown>>();
  #chunk: ObjectUpload | undefined;
  #manifest: ObjectUpload | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(
    store: ObjectStore,
    where: { readonly folder: string; readonly codec: Codec; readonly signal?: AbortSignal },
  ) {
    this.#store = store;
    this.#where = where;
  }

  /** The next block of a chunk. Its buffer is given away. */
  async chunk({ chunk, bytes, last }: ChunkBlock): Promise<void> {
    if (this.#failure) throw this.#failure.error;
    const key = `chunks/${String(chunk).padStart(4, "0")}.tar${this.#where.codec.extension}`;
    this.#chunk ??= await this.#start({ key, role: "chunk", cut: false });
    await this.#chunk.write(bytes);
    if (!last) return;
    this.#chunk.close();
    this.#chunk = undefined;
  }

  /** The next bytes of PostgreSQL's backup_manifest. They are copied. */
  async manifest(bytes: Bytes): Promise<void> {
    const key = `backup_manifest${this.#where.codec.extension}`;
    this.#manifest ??= await this.#start({ key, role: "backup_manifest", cut: true });
    await this.#manifest.write(bytes.slice());
  }

  /** Whether any part of the manifest came. */
  get hasManifest(): boolean {
    return this.#manifest !== undefined;
  }

  /** Waits until all of it is stored. */
  async finish(): Promise<readonly ManifestObject[]> {
    this.#manifest?.close();
    return await Promise.all(this.#objects);
  }

  /** Gives up and waits until the store is at rest. */
  async abort(reason: unknown): Promise<void> {
    this.#chunk?.abort(reason);
    this.#manifest?.abort(reason);
    await Promise.allSettled(this.#objects);
  }

  async #start(
    what: { readonly key: string; readonly role: ManifestObject["role"]; readonly cut: boolean },
  ): Promise<ObjectUpload> {
    while (this.#running.size >= MAX_UPLOADS) await Promise.race(this.#running);
    if (this.#failure) throw this.#failure.error;
    const upload = new ObjectUpload(this.#store, { ...this.#where, ...what });
    this.#objects.push(upload.finished);
    const settled: Promise<unknown> = upload.finished
      .catch((error) => this.#failure ??= { error })
      .finally(() => this.#running.delete(settled));
    this.#running.add(settled);
    return upload;
  }
}
