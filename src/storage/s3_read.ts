/** Reading an object to its end, however often the connection breaks. */
import type { GetObjectCommand, GetObjectCommandOutput } from "@aws-sdk/client-s3";
import type { Readable } from "node:stream";
import { type Bytes, MiB } from "../domain/bytes.ts";
import { IntegrityError, ObjectMissingError, StorageError } from "../domain/errors.ts";
import { type ByteRange, outsideError } from "./byte_range.ts";
import { S3CallError, type S3Connection } from "./s3_connection.ts";
import { S3Failure } from "./s3_failure.ts";
import { s3Error } from "./s3_errors.ts";
import { base64OfCrc } from "./s3_write.ts";

/** A transfer may break so often, and once more for each 8 MiB that arrived. */
const BREAKS = 5;
const BYTES_PER_BREAK = 8 * MiB;

interface ReadRequest {
  readonly key: string;
  readonly range: ByteRange | undefined;
  readonly signal: AbortSignal | undefined;
}

/** One answer: a row of bytes of the object. */
interface Opened {
  readonly etag: string | undefined;
  readonly start: number;
  readonly end: number;
  /** Length of the whole object. */
  readonly total: number;
  /** The CRC-32 of the whole object, when this is all of it and the store knows it. */
  readonly checksum: string | undefined;
  readonly body: Readable;
}

/**
 * Opens an object.
 *
 * @throws {ObjectMissingError} when the store says NoSuchKey, which a bare 404 is not.
 */
export async function openObject(
  connection: S3Connection,
  request: ReadRequest,
): Promise<ReadableStream<Bytes>> {
  const { key, range } = request;
  try {
    const { crc32 } = await connection.load();
    const first = await openFirst(connection, request);
    return new ObjectReader(connection, { request, first }).stream(crc32);
  } catch (error) {
    if (!(error instanceof S3CallError)) throw error;
    if (error.failure.code === "NoSuchKey") throw new ObjectMissingError(key);
    if (range !== undefined && error.failure.status === 416) throw outsideError(key, range);
    throw error.toStorageError();
  }
}

/** Makes the call; the body is still to be read. */
export async function getObject(
  connection: S3Connection,
  { key, range, ifMatch, signal }: ReadRequest & { readonly ifMatch: string | undefined },
): Promise<GetObjectCommandOutput> {
  const { bucket, keyPrefix, transferAttempts } = connection.settings;
  return await connection.call({
    operation: "GetObject",
    key,
    ...(ifMatch !== undefined && { attempts: transferAttempts }),
    signal,
    send: (client, sdk, http) => {
      const command = new sdk.GetObjectCommand({
        Bucket: bucket,
        Key: keyPrefix + key,
        ...(range && { Range: `bytes=${range[0]}-${range[1] - 1}` }),
        ...(ifMatch !== undefined && { IfMatch: ifMatch }),
      });
      if (range === undefined) askForChecksum(command);
      return client.send(command, http);
    },
  });
}

/**
 * Asks for the stored checksum without the SDK's ChecksumMode, whose check would take a transfer
 * that is resumed for a damaged one.
 */
function askForChecksum(command: GetObjectCommand): void {
  command.middlewareStack.add(
    (next) => (args) => {
      const { headers } = args.request as { readonly headers: Record<string, string> };
      headers["x-amz-checksum-mode"] = "ENABLED";
      return next(args);
    },
    { step: "build", name: "askForChecksum" },
  );
}

async function openFirst(connection: S3Connection, request: ReadRequest): Promise<Opened> {
  const { range } = request;
  const span = windowOf(connection, range ?? [0, Infinity]);
  const wanted = { ...request, range: span[1] === Infinity ? undefined : span };
  try {
    return openedOf(await getObject(connection, { ...wanted, ifMatch: undefined }), wanted);
  } catch (error) {
    const isEmpty = error instanceof S3CallError && error.failure.status === 416;
    if (range !== undefined || !isEmpty) throw error;
    return openedOf(await getObject(connection, { ...request, ifMatch: undefined }), request);
  }
}

/** As much of the range as one request may ask for. */
function windowOf({ windowBytes }: S3Connection, [start, end]: ByteRange): ByteRange {
  return [start, Math.min(end, start + windowBytes)];
}

/** Content-Encoding is not looked at: some stores give the transfer's own `aws-chunked` back. */
function openedOf(output: GetObjectCommandOutput, { key, range }: ReadRequest): Opened {
  const length = output.ContentLength;
  const body = output.Body as Readable | undefined;
  if (length === undefined || body === undefined) {
    body?.destroy();
    throw new StorageError(`the store does not say how long object ${key} is`);
  }
  const etag = output.ETag;
  if (range === undefined) {
    const isFull = output.ChecksumType !== "COMPOSITE" && !output.ChecksumCRC32?.includes("-");
    const checksum = isFull ? output.ChecksumCRC32 : undefined;
    return { etag, start: 0, end: length, total: length, checksum, body };
  }
  const [start, end] = range;
  const total = Number(output.ContentRange?.match(/^bytes \d+-\d+\/(\d+)$/)?.[1]);
  const last = Math.min(end, total) - 1;
  if (output.ContentRange === `bytes ${start}-${last}/${total}` && length === last + 1 - start) {
    return { etag, start, end: last + 1, total, checksum: undefined, body };
  }
  body.destroy();
  throw new StorageError(
    `the store answered another part of object ${key} than the one asked for`,
    "is there a proxy or cache in front of the store?",
  );
}

class ObjectReader {
  readonly #connection: S3Connection;
  readonly #request: ReadRequest;
  readonly #first: Opened;
  /** Where the whole reading ends. */
  readonly #end: number;
  #current: Opened;
  #chunks: AsyncIterator<Uint8Array>;
  /** The answer that comes after the current one; undefined when it failed. */
  #ahead: Promise<Opened | undefined> | undefined;
  #position: number;
  #breaks = 0;
  #crc = 0;

  constructor(
    connection: S3Connection,
    { request, first }: { readonly request: ReadRequest; readonly first: Opened },
  ) {
    this.#connection = connection;
    this.#request = request;
    this.#first = first;
    this.#position = first.start;
    this.#end = Math.min(first.total, request.range?.[1] ?? Infinity);
    this.#current = first;
    this.#chunks = first.body[Symbol.asyncIterator]();
    this.#lookAhead();
  }

  stream(crc32: (bytes: Uint8Array, before?: number) => number): ReadableStream<Bytes> {
    const { signal } = this.#request;
    const stop = () => this.#current.body.destroy();
    signal?.addEventListener("abort", stop, { once: true });
    const finish = () => {
      signal?.removeEventListener("abort", stop);
      this.#current.body.destroy();
      this.#ahead?.then((opened) => opened?.body.destroy());
    };
    return new ReadableStream<Bytes>({
      pull: async (controller) => {
        try {
          const chunk = await this.#next();
          if (chunk !== undefined) {
            this.#crc = crc32(chunk, this.#crc);
            return controller.enqueue(chunk);
          }
          this.#checkSum();
          finish();
          controller.close();
        } catch (error) {
          finish();
          controller.error(error);
        }
      },
      cancel: finish,
    }, { highWaterMark: 0 });
  }

  /** The next bytes, undefined at the end; opens the rest anew when the transfer breaks. */
  async #next(): Promise<Bytes | undefined> {
    const { signal } = this.#request;
    for (;;) {
      signal?.throwIfAborted();
      const outcome = await this.#read();
      signal?.throwIfAborted();
      if (outcome instanceof Uint8Array) return this.#accept(outcome);
      // Whatever comes after the last byte, even a broken connection, takes nothing away.
      if (this.#position === this.#end) return undefined;
      if (this.#position < this.#current.end) await this.#recover(outcome);
      await this.#open();
    }
  }

  /** @returns the error when the transfer broke or ended. */
  async #read(): Promise<Uint8Array | Error> {
    const { body, end } = this.#current;
    const { idleMs } = this.#connection.settings;
    const silence = Object.assign(new Error(`no byte within ${idleMs / 1000} s`), {
      name: "TimeoutError",
    });
    const timer = setTimeout(() => body.destroy(silence), idleMs);
    try {
      const { done, value } = await this.#chunks.next();
      return done ? broken(`the transfer ended ${end - this.#position} bytes early`) : value;
    } catch (error) {
      return error instanceof Error ? error : broken(String(error));
    } finally {
      clearTimeout(timer);
    }
  }

  #accept(chunk: Uint8Array): Bytes {
    this.#position += chunk.length;
    if (this.#position <= this.#current.end) return chunk as Bytes;
    throw new StorageError(`the store sent more of object ${this.#request.key} than it announced`);
  }

  /** Waits before the transfer is taken up again, unless it broke too often. */
  async #recover(error: Error): Promise<void> {
    const { key, signal } = this.#request;
    this.#current.body.destroy();
    await this.#dropAhead(); // it begins where the broken one should have ended
    this.#breaks += 1;
    const allowed = BREAKS + (this.#position - this.#first.start) / BYTES_PER_BREAK;
    if (this.#breaks > allowed) {
      const { settings } = this.#connection;
      throw s3Error(new S3Failure(error), { operation: "GetObject", key }, settings);
    }
    await this.#connection.backOff(Math.min(this.#breaks, BREAKS), { signal });
  }

  /** Opens what comes next. */
  async #open(): Promise<void> {
    const ahead = await this.#ahead;
    this.#ahead = undefined;
    this.#current = ahead ?? await this.#openAt(this.#position);
    this.#chunks = this.#current.body[Symbol.asyncIterator]();
    this.#lookAhead();
  }

  /** Asks for the next window already, so that its latency is not waited for. */
  #lookAhead(): void {
    const { end } = this.#current;
    if (end >= this.#end) return;
    this.#ahead = this.#openAt(end).catch(() => undefined);
  }

  async #dropAhead(): Promise<void> {
    const ahead = await this.#ahead;
    this.#ahead = undefined;
    ahead?.body.destroy();
  }

  async #openAt(start: number): Promise<Opened> {
    const { key, signal } = this.#request;
    const ifMatch = this.#first.etag;
    if (ifMatch === undefined) throw new StorageError(`the store gives no etag of object ${key}`);
    const wanted = { key, signal, range: windowOf(this.#connection, [start, this.#end]) };
    try {
      return openedOf(await getObject(this.#connection, { ...wanted, ifMatch }), wanted);
    } catch (failure) {
      throw failure instanceof S3CallError ? this.#changeError(failure) : failure;
    }
  }

  #changeError(error: S3CallError): StorageError {
    const { code, status } = error.failure;
    if (status !== 412 && status !== 416 && code !== "NoSuchKey") return error.toStorageError();
    return new StorageError(
      `object ${this.#request.key} was replaced or removed while it was read`,
      "does somebody prune or overwrite the repository at the same time?",
    );
  }

  #checkSum(): void {
    const { checksum } = this.#first;
    if (checksum === undefined || checksum === base64OfCrc(this.#crc)) return;
    throw new IntegrityError(
      `object ${this.#request.key} has another CRC32 than the store announced`,
      "the transfer or the store damages data: verify the backups",
    );
  }
}

function broken(message: string): Error {
  return Object.assign(new Error(message), { code: "ECONNRESET" });
}
