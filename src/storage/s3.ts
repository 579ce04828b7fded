import type { Bytes } from "../domain/bytes.ts";
import { ObjectExistsError, StorageError } from "../domain/errors.ts";
import { type Body, cancelBody, consume } from "./body.ts";
import { type ByteRange, checkRange } from "./byte_range.ts";
import { checkKey, checkMetadata, MAX_KEY_BYTES } from "./object_key.ts";
import { PartCutter } from "./part_cutter.ts";
import { S3CallError, S3Connection, type S3Internals } from "./s3_connection.ts";
import { copyObject } from "./s3_copy.ts";
import { deleteObjects } from "./s3_delete.ts";
import { s3Location } from "./s3_errors.ts";
import { listObjects } from "./s3_list.ts";
import { type Flight, S3Multipart } from "./s3_multipart.ts";
import { type S3Options, s3Settings } from "./s3_options.ts";
import { partSizes } from "./s3_part_sizes.ts";
import { abortUploads } from "./s3_uploads.ts";
import { getObject, openObject } from "./s3_read.ts";
import { quotedEtag, S3Write, userMetadata } from "./s3_write.ts";
import type {
  CopyOptions,
  DeleteOptions,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  ReadOptions,
} from "./storage.ts";

export type { S3Options, S3Retry } from "./s3_options.ts";

/** Objects in a bucket of Amazon S3 or of a store that speaks its protocol. */
export class S3Store implements ObjectStore {
  readonly location: string;
  readonly #connection: S3Connection;
  readonly #flight: Flight = { bytes: 0 };

  /**
   * Contacts nobody yet.
   *
   * @throws {ConfigError} when the options cannot work together.
   */
  constructor(options: S3Options, internals: S3Internals = {}) {
    const settings = s3Settings(options);
    this.location = s3Location(settings);
    this.#connection = new S3Connection(settings, internals);
  }

  async put(key: string, body: Body, options: PutOptions = {}): Promise<ObjectInfo> {
    try {
      this.#checkKey(key);
      checkMetadata(options.metadata ?? {});
      options.signal?.throwIfAborted();
      return await this.#put(new S3Write(this.#connection, { key, options }), body);
    } catch (error) {
      await cancelBody(body, error);
      throw error;
    }
  }

  async get(
    key: string,
    { range, signal }: ReadOptions & { readonly range?: ByteRange } = {},
  ): Promise<ReadableStream<Bytes>> {
    signal?.throwIfAborted();
    this.#checkKey(key);
    checkRange(range);
    return await openObject(this.#connection, { key, range, signal });
  }

  async head(key: string, { signal }: ReadOptions = {}): Promise<ObjectInfo | undefined> {
    signal?.throwIfAborted();
    this.#checkKey(key);
    const { bucket: Bucket, keyPrefix } = this.#connection.settings;
    try {
      const head = await this.#connection.call({
        operation: "HeadObject",
        key,
        signal,
        send: (client, sdk, http) =>
          client.send(new sdk.HeadObjectCommand({ Bucket, Key: keyPrefix + key }), http),
      });
      return {
        key,
        size: head.ContentLength ?? 0,
        ...quotedEtag(head.ETag),
        ...(head.LastModified !== undefined && { lastModified: head.LastModified }),
        metadata: userMetadata(head.Metadata),
      };
    } catch (error) {
      if (!(error instanceof S3CallError)) throw error;
      if (!error.failure.isBare) throw error.toStorageError();
      return await this.#confirmAbsence(key, signal);
    }
  }

  list(
    prefix: string,
    { startAfter, signal }: ReadOptions & { readonly startAfter?: string } = {},
  ): AsyncIterable<ObjectInfo> {
    return listObjects(this.#connection, { prefix, startAfter, signal });
  }

  async delete(keys: readonly string[], { signal, guard }: DeleteOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    keys.forEach((key) => this.#checkKey(key));
    await deleteObjects(this.#connection, { keys, signal, guard });
  }

  async copy(
    from: string,
    to: string,
    options: CopyOptions,
  ): Promise<ObjectInfo | undefined> {
    this.#checkKey(to);
    const { etag, size, signal } = options;
    const found = await this.head(from, signal ? { signal } : {});
    // Some stores copy whatever the condition says: so it is looked at here as well.
    if (etag === undefined || found?.etag !== etag || found.size !== size) return undefined;
    if (await this.head(to, signal ? { signal } : {})) throw new ObjectExistsError(to);
    return await copyObject(this.#connection, { from, to, ...options, etag });
  }

  async abortUploads(
    prefix: string,
    { before, signal }: ReadOptions & { readonly before: Date },
  ): Promise<number> {
    signal?.throwIfAborted();
    return await abortUploads(this.#connection, { prefix, before, signal });
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    await this.#connection.close();
  }

  async #put(write: S3Write, body: Body): Promise<ObjectInfo> {
    const { key, options: { size, signal } } = write;
    const known = body instanceof Uint8Array ? body.length : size;
    const multipart = new S3Multipart(this.#connection, { write, flight: this.#flight });
    const { partBytes, maxParts, growParts: grow } = this.#connection.settings;
    const sizeOf = partSizes({ partBytes, maxParts, grow, size: known });
    const cutter = new PartCutter({ sizeOf, onPart: (part) => multipart.add(part) });
    const stop = signal === undefined
      ? multipart.failed
      : AbortSignal.any([signal, multipart.failed]);
    try {
      await consume(body, (chunk) => cutter.write(chunk), { key, size, signal: stop });
      const rest = cutter.rest();
      if (!multipart.hasBegun) return await write.putWhole(rest);
      if (rest.length > 0) await multipart.add(rest);
      return await multipart.complete();
    } catch (error) {
      await multipart.discard(error);
      throw error;
    }
  }

  /**
   * The answer of HEAD has no body that says what is wrong. A 404 may be about the bucket or come
   * from a proxy, and taken for absence it would end a recovery early: so GET is asked.
   */
  async #confirmAbsence(
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<ObjectInfo | undefined> {
    try {
      const output = await getObject(this.#connection, {
        key,
        range: [0, 1],
        ifMatch: undefined,
        signal,
      });
      await output.Body?.transformToWebStream().cancel();
    } catch (error) {
      if (!(error instanceof S3CallError)) throw error;
      if (error.failure.code === "NoSuchKey") return undefined;
      if (error.failure.status !== 416) throw error.toStorageError();
    }
    return await this.head(key, signal === undefined ? {} : { signal }); // it has just appeared
  }

  #checkKey(key: string): void {
    checkKey(key);
    const bytes = new TextEncoder().encode(this.#connection.settings.keyPrefix + key).length;
    if (bytes <= MAX_KEY_BYTES) return;
    throw new StorageError(
      `object key ${key} with its prefix is longer than ${MAX_KEY_BYTES} bytes`,
      "shorten repository.prefix",
    );
  }
}
