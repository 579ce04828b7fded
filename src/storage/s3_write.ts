/** One write of one object: its headers, its conditions, and how to find out that it was ours. */
import type {
  HeadObjectCommandOutput,
  PutObjectCommandInput,
  ServerSideEncryption,
  StorageClass,
} from "@aws-sdk/client-s3";
import type { Bytes } from "../domain/bytes.ts";
import { ObjectExistsError, StorageError } from "../domain/errors.ts";
import { S3CallError, type S3Connection } from "./s3_connection.ts";
import type { S3Settings } from "./s3_options.ts";
import type { ObjectInfo, PutOptions } from "./storage.ts";

/**
 * Metadata that names the write which made an object. An answer may get lost, and Deno's HTTP
 * client repeats a request by itself when a kept-alive connection turns out to be closed: the
 * second request then finds the object of the first and says 412. The marker tells whose it is.
 */
const MARKER = "backupctl-write";

/** A write that is under way. */
export class S3Write {
  /** As backupctl knows it. */
  readonly key: string;
  readonly options: PutOptions;
  readonly #connection: S3Connection;
  readonly #marker = crypto.randomUUID();

  constructor(
    connection: S3Connection,
    { key, options }: { readonly key: string; readonly options: PutOptions },
  ) {
    this.#connection = connection;
    this.key = key;
    this.options = options;
  }

  get #settings(): S3Settings {
    return this.#connection.settings;
  }

  /** Bucket and key as the store knows them. */
  get address(): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#settings.bucket, Key: this.#settings.keyPrefix + this.key };
  }

  /** Headers of PutObject and CreateMultipartUpload. */
  get headers(): Pick<
    PutObjectCommandInput,
    | "Bucket"
    | "Key"
    | "Metadata"
    | "StorageClass"
    | "ServerSideEncryption"
    | "SSEKMSKeyId"
    | "BucketKeyEnabled"
  > {
    const { storageClass, sse, kmsKeyId, bucketKey } = this.#settings;
    return {
      ...this.address,
      Metadata: { ...this.options.metadata, [MARKER]: this.#marker },
      ...(storageClass !== undefined && { StorageClass: storageClass as StorageClass }),
      ...(sse !== undefined && { ServerSideEncryption: sse as ServerSideEncryption }),
      ...(kmsKeyId !== undefined && { SSEKMSKeyId: kmsKeyId }),
      ...(bucketKey !== undefined && { BucketKeyEnabled: bucketKey }),
    };
  }

  /** Headers of PutObject and CompleteMultipartUpload. */
  get conditions(): Pick<PutObjectCommandInput, "IfNoneMatch" | "IfMatch"> {
    const { ifAbsent, ifMatch } = this.options;
    return {
      ...(ifAbsent && { IfNoneMatch: "*" }),
      ...(ifMatch !== undefined && { IfMatch: ifMatch }),
    };
  }

  /** Stores the whole object by one request. */
  async putWhole(bytes: Bytes): Promise<ObjectInfo> {
    const { crc32 } = await this.#connection.load();
    const sum = this.#settings.checksums ? { ChecksumCRC32: base64OfCrc(crc32(bytes)) } : {};
    try {
      const { ETag } = await this.#connection.call({
        operation: "PutObject",
        key: this.key,
        bodyBytes: bytes.length,
        signal: this.options.signal,
        send: (client, sdk, http) => {
          const input = { ...this.headers, ...this.conditions, ...sum };
          const body = { Body: bytes, ContentLength: bytes.length };
          return client.send(new sdk.PutObjectCommand({ ...input, ...body }), http);
        },
      });
      return await this.describe(bytes.length, ETag);
    } catch (error) {
      return await this.settle(error, bytes.length);
    }
  }

  /**
   * After a refusal that may be about our own object, looks at what is there.
   *
   * @returns the object when it is ours.
   * @throws {ObjectExistsError} when it is somebody else's, else the failure.
   */
  async settle(error: unknown, size: number): Promise<ObjectInfo> {
    if (!(error instanceof S3CallError)) throw error;
    const { failure, wasUncertain } = error;
    const isConflict = failure.isConditionFailure ||
      failure.code === "ConditionalRequestConflict" ||
      (this.options.ifMatch !== undefined && failure.code === "NoSuchKey");
    if (!isConflict && failure.code !== "NoSuchUpload") throw error.toStorageError();
    const found = await this.#look(error, { tolerant: isConflict && !wasUncertain });
    if (found?.Metadata?.[MARKER] === this.#marker && found.ContentLength === size) {
      return await this.describe(size, found.ETag);
    }
    if (failure.isConditionFailure || failure.code === "NoSuchKey") {
      throw new ObjectExistsError(this.key);
    }
    if (this.options.ifAbsent && found !== undefined) throw new ObjectExistsError(this.key);
    throw error.toStorageError();
  }

  /** What is known of the stored object; asks for the etag when the answer had none. */
  async describe(size: number, etag: string | undefined): Promise<ObjectInfo> {
    const known = etag ?? (await this.#head())?.ETag;
    return {
      key: this.key,
      size,
      ...quotedEtag(known),
      metadata: { ...this.options.metadata },
    };
  }

  /** @param tolerant: a HEAD that is refused is as good as somebody else's object. */
  async #look(
    error: S3CallError,
    { tolerant }: { readonly tolerant: boolean },
  ): Promise<HeadObjectCommandOutput | undefined> {
    try {
      return await this.#head();
    } catch (second) {
      if (!(second instanceof S3CallError)) throw second;
      if (tolerant) return undefined;
      throw new StorageError(
        `it is not known whether object ${this.key} was stored: the answer was lost, and ${second.failure.message}`,
        "allow s3:GetObject, so that backupctl can look what is there; running it again is safe",
        { cause: error.toStorageError() },
      );
    }
  }

  async #head(): Promise<HeadObjectCommandOutput | undefined> {
    try {
      return await this.#connection.call({
        operation: "HeadObject",
        key: this.key,
        signal: this.options.signal,
        send: (client, sdk, http) => client.send(new sdk.HeadObjectCommand(this.address), http),
      });
    } catch (error) {
      if (error instanceof S3CallError && error.failure.status === 404) return undefined;
      throw error;
    }
  }
}

/** The user's metadata, without what S3Write added. */
export function userMetadata(
  metadata: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> {
  const { [MARKER]: _marker, ...fields } = metadata ?? {};
  return fields;
}

/** The etag as HTTP writes it; some servers leave the quotes out in listings. */
export function quotedEtag(etag: string | undefined): { readonly etag?: string } {
  if (etag === undefined || etag === "") return {};
  return { etag: etag.startsWith('"') || etag.startsWith("W/") ? etag : `"${etag}"` };
}

/** S3's form of a CRC-32: base64 of the four bytes, the highest first. */
export function base64OfCrc(crc: number): string {
  return btoa(String.fromCharCode(crc >>> 24, (crc >>> 16) & 255, (crc >>> 8) & 255, crc & 255));
}
