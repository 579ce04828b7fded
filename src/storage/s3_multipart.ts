import type { CompletedPart } from "@aws-sdk/client-s3";
import { type Bytes, MiB } from "../domain/bytes.ts";
import { StorageError } from "../domain/errors.ts";
import type { S3Connection } from "./s3_connection.ts";
import { S3Failure } from "./s3_failure.ts";
import { abortUpload } from "./s3_uploads.ts";
import { base64OfCrc, type S3Write } from "./s3_write.ts";
import type { ObjectInfo } from "./storage.ts";

/** Parts of one object on their way at once. */
const MAX_PARTS_IN_FLIGHT = 4;
/** Bytes of parts on their way at once, over all objects of a store. One part is always allowed. */
const MAX_BYTES_IN_FLIGHT = 128 * MiB;
/** What is left behind after this is for abortUploads. */
const ABORT_TIMEOUT_MS = 10_000;

/** The bytes that all uploads of a store have in flight. */
export interface Flight {
  bytes: number;
}

/**
 * One multipart upload. lib-storage's `Upload` is not used: its parts cannot grow, its parts are
 * buffered per object without a common limit, and it takes a NoSuchUpload after a lost answer of
 * CompleteMultipartUpload for a failure.
 */
export class S3Multipart {
  readonly #connection: S3Connection;
  readonly #write: S3Write;
  readonly #flight: Flight;
  readonly #parts: CompletedPart[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #abort = new AbortController();
  #uploadId: string | undefined;
  #bytes = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(connection: S3Connection, { write, flight }: {
    readonly write: S3Write;
    readonly flight: Flight;
  }) {
    this.#connection = connection;
    this.#write = write;
    this.#flight = flight;
  }

  /** Aborted with the reason as soon as a part failed: the body need not be read on. */
  get failed(): AbortSignal {
    return this.#abort.signal;
  }

  /** Whether any part was added. */
  get hasBegun(): boolean {
    return this.#parts.length > 0;
  }

  /** The number of the next part, from 1. */
  get nextNumber(): number {
    return this.#parts.length + 1;
  }

  /** Sends the next part. Returns when there is room for another one in memory. */
  async add(bytes: Bytes): Promise<void> {
    this.#uploadId ??= await this.#create();
    const part: CompletedPart = { PartNumber: this.nextNumber };
    if (this.nextNumber > this.#connection.settings.maxParts) throw tooLarge(this.#write.key);
    this.#parts.push(part);
    this.#bytes += bytes.length;
    while (this.#running.size > 0 && this.#isFull(bytes.length)) await Promise.race(this.#running);
    this.#throwIfFailed();
    this.#start(part, bytes);
    while (this.#running.size > 0 && this.#isFull(bytes.length)) await Promise.race(this.#running);
    this.#throwIfFailed();
  }

  /** Waits for the parts and joins them. */
  async complete(): Promise<ObjectInfo> {
    await Promise.all(this.#running);
    this.#throwIfFailed();
    const { key, address, conditions } = this.#write;
    try {
      const { ETag } = await this.#connection.call({
        operation: "CompleteMultipartUpload",
        key,
        signal: this.#signal,
        send: (client, sdk, http) =>
          client.send(
            new sdk.CompleteMultipartUploadCommand({
              ...address,
              ...conditions,
              UploadId: this.#uploadId,
              MultipartUpload: { Parts: this.#parts },
            }),
            http,
          ),
      });
      return await this.#write.describe(this.#bytes, ETag);
    } catch (error) {
      return await this.#write.settle(error, this.#bytes);
    }
  }

  /** Gives the upload up. Never throws: it runs while another error is thrown. */
  async discard(reason: unknown): Promise<void> {
    this.#abort.abort(reason);
    await Promise.all(this.#running); // a part that arrives after the abort would stay
    if (this.#uploadId === undefined) return;
    await abortUpload(this.#connection, {
      Key: this.#write.address.Key,
      UploadId: this.#uploadId,
      signal: AbortSignal.timeout(ABORT_TIMEOUT_MS),
    }).catch(() => {}); // best effort: abortUploads finds it later
  }

  get #signal(): AbortSignal {
    const { signal } = this.#write.options;
    return signal === undefined ? this.failed : AbortSignal.any([signal, this.failed]);
  }

  #isFull(bytes: number): boolean {
    return this.#running.size >= MAX_PARTS_IN_FLIGHT ||
      this.#flight.bytes + bytes > MAX_BYTES_IN_FLIGHT;
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #create(): Promise<string> {
    const { key, headers } = this.#write;
    const { checksums } = this.#connection.settings;
    const { UploadId } = await this.#connection.callOrThrow({
      operation: "CreateMultipartUpload",
      key,
      signal: this.#signal,
      send: (client, sdk, http) =>
        client.send(
          new sdk.CreateMultipartUploadCommand({
            ...headers,
            // Named here, so that the parts' checksums are kept and compared at Complete.
            ...(checksums && { ChecksumAlgorithm: "CRC32" as const }),
          }),
          http,
        ),
    });
    if (UploadId !== undefined) return UploadId;
    throw new StorageError(`the store began an upload of object ${key} without naming it`);
  }

  #start(part: CompletedPart, bytes: Bytes): void {
    this.#flight.bytes += bytes.length;
    const running = this.#send(part, bytes).catch((error) => {
      this.#failure ??= { error };
      this.#abort.abort(error);
    }).finally(() => {
      this.#flight.bytes -= bytes.length;
      this.#running.delete(running);
    });
    this.#running.add(running);
  }

  async #send(part: CompletedPart, bytes: Bytes): Promise<void> {
    const { crc32 } = await this.#connection.load();
    const { checksums } = this.#connection.settings;
    const sum = checksums ? { ChecksumCRC32: base64OfCrc(crc32(bytes)) } : {};
    const { key, address } = this.#write;
    const { ETag } = await this.#connection.callOrThrow({
      operation: "UploadPart",
      key,
      bodyBytes: bytes.length,
      attempts: this.#connection.settings.transferAttempts,
      signal: this.#signal,
      send: async (client, sdk, http) => {
        const input = { ...address, UploadId: this.#uploadId, PartNumber: part.PartNumber };
        const body = { Body: bytes, ContentLength: bytes.length, ...sum };
        const answer = await client.send(new sdk.UploadPartCommand({ ...input, ...body }), http);
        if (answer.ETag === undefined) throw garbledAnswer("the answer to a part has no ETag");
        return answer;
      },
    });
    Object.assign(part, { ETag, ...sum });
  }
}

/** A success that lacks what a success must have: as good as no answer. */
function garbledAnswer(message: string): S3Failure {
  return new S3Failure(
    Object.assign(new Error(message), { name: "Unknown", $metadata: { httpStatusCode: 200 } }),
  );
}

function tooLarge(key: string): StorageError {
  return new StorageError(
    `object ${key} has more parts than the store allows`,
    "give larger parts (part_size), or split what is backed up",
  );
}
