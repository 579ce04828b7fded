/**
 * The port to wherever objects live. Adapters: `memory`, `directory`, `s3`; one contract suite
 * (tests/contract/object_store.ts) holds them all to this page.
 *
 * @module
 */
import type { Bytes } from "../domain/bytes.ts";

/** What a store knows of an object without reading it. */
export interface ObjectInfo {
  /** The key relative to the store's root; segments are separated by `/`. */
  readonly key: string;
  /** Length in bytes as stored. */
  readonly size: number;
  /** Changes whenever the content does; opaque. */
  readonly etag?: string;
  /** When the store says it was written. Never used to order backups. */
  readonly lastModified?: Date;
  /** User metadata, keys in lower case. Present after `put` and `head`; listings leave it out. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** How {@link ObjectStore.put} writes. */
export interface PutOptions {
  /** Refuse with {@link ObjectExistsError} when the key is taken. */
  readonly ifAbsent?: boolean;
  /** Refuse with {@link ObjectExistsError} unless the key holds the object of this etag. */
  readonly ifMatch?: string;
  /** Kept beside the object: lower-case ASCII keys, values of at most 2 KiB together. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The length of a streamed body, when known: saves a multipart upload or picks its part size. */
  readonly size?: number;
  /** Gives the call up. */
  readonly signal?: AbortSignal;
}

/** Options of the calls that only read. */
export interface ReadOptions {
  /** Gives the call up. */
  readonly signal?: AbortSignal;
}

/** How {@link ObjectStore.list} lists. */
export interface ListOptions extends ReadOptions {
  /** Only keys behind this one. */
  readonly startAfter?: string;
  /**
   * Hears of what lies among the objects and cannot be followed, such as a symbolic link of a folder,
   * and is then left out. Without it such a thing ends the listing with a {@link StorageError}.
   */
  readonly onForeign?: (path: string) => void;
}

/** Options of {@link ObjectStore.delete}. */
export interface DeleteOptions extends ReadOptions {
  /**
   * Called right before each request, those that are tried again among them; what it throws ends
   * the call. For runs that may lose the right to remove anything at any moment.
   */
  readonly guard?: () => void;
}

/** What {@link ObjectStore.copy} must find. */
export interface CopyOptions extends ReadOptions {
  /** Bytes as stored. */
  readonly size: number;
  /** SHA-256 of the stored bytes, in lower-case hexadecimal. */
  readonly sha256: string;
  /** As {@link ObjectStore.put} answered when these bytes were stored; absent: it gave none. */
  readonly etag?: string;
}

/** Where objects live. A failed call leaves no object and no upload behind. */
export interface ObjectStore {
  /** For messages and plans: `s3://my-bucket/backupctl` or `/var/lib/backups`. Holds no secret. */
  readonly location: string;

  /**
   * Stores `body` under `key`, whole or not at all, durable when it returns.
   *
   * @param body read once; memory stays bounded whatever its length. Of a stream, a chunk is not
   * looked at any more once the next one was asked for: its memory may be given back by then.
   * @throws {ObjectExistsError} when a condition does not hold; nothing was written.
   * @throws {StorageError} when the store cannot be reached or refuses.
   */
  put(key: string, body: Bytes | ReadableStream<Bytes>, options?: PutOptions): Promise<ObjectInfo>;

  /**
   * Opens an object, or a part of it. A broken transfer errors the stream, it never just ends.
   *
   * @param options.range first byte, and the byte behind the last one.
   * @throws {ObjectMissingError} before the first byte, only when the store itself says so.
   */
  get(
    key: string,
    options?: ReadOptions & { readonly range?: readonly [start: number, end: number] },
  ): Promise<ReadableStream<Bytes>>;

  /** What the store knows of `key`, or undefined when the store itself says that it is absent. */
  head(key: string, options?: ReadOptions): Promise<ObjectInfo | undefined>;

  /** Every object whose key starts with `prefix`, in the order of the keys' bytes. */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo>;

  /**
   * Removes objects; keys that are absent count as removed.
   *
   * @throws {StorageError} naming the keys that the store refused to remove.
   */
  delete(keys: readonly string[], options?: DeleteOptions): Promise<void>;

  /**
   * Stores under `to` what lies under `from`, without its bytes passing through the network where
   * the store can do that, if it is certain to be what the options say: by its hash, or, where only
   * the store could tell that, by the etag that it has had since it was stored. Neither its length
   * nor a time is proof. Its metadata stays behind. Stores without such a thing leave it out.
   *
   * @returns undefined when it is absent or not certain to be that; then nothing is stored.
   * @throws {ObjectExistsError} when `to` is taken.
   * @throws {StorageError} when the store cannot be reached or refuses.
   */
  copy?(from: string, to: string, options: CopyOptions): Promise<ObjectInfo | undefined>;

  /**
   * Gives up unfinished uploads under `prefix` that were begun before `before`.
   * Stores without such a thing leave it out.
   *
   * @returns how many were given up.
   */
  abortUploads?(prefix: string, options: ReadOptions & { readonly before: Date }): Promise<number>;

  /** Closes connections. */
  close?(): Promise<void>;
}
