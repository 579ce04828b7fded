/** Reading an object to its end, however often the connection breaks. */
import type { GetObjectCommand, GetObjectCommandOutput } from "@aws-sdk/client-s3";
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
  /** The CRC-32 of the whole object, when this is all of it and the store knows it. */
  readonly checksum: string | undefined;
  readonly body: ReadableStream<Bytes>;
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
    const first = openedOf(
      await getObject(connection, { ...request, ifMatch: undefined }),
      request,
    );
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

/** Content-Encoding is not looked at: some stores give the transfer's own `aws-chunked` back. */
function openedOf(output: GetObjectCommandOutput, { key, range }: ReadRequest): Opened {
  const length = output.ContentLength;
  const body = output.Body as ReadableStream<Bytes> | undefined;
  if (length === undefined || body === undefined) {
    body?.cancel();
    throw new StorageError(`the store does not say how long object ${key} is`);
  }
  const etag = output.ETag;
  if (range === undefined) {
    const isFull = output.ChecksumType !== "COMPOSITE" && !output.ChecksumCRC32?.includes("-");
    const checksum = isFull ? output.ChecksumCRC32 : undefined;
    return { etag, start: 0, end: length, checksum, body };
  }
  const [start, end] = range;
  const total = Number(output.ContentRange?.match(/^bytes \d+-\d+\/(\d+)$/)?.[1]);
  const last = Math.min(end, total) - 1;
  if (output.ContentRange === `bytes ${start}-${last}/${total}` && length === last + 1 - start) {
    return { etag, start, end: last + 1, checksum: undefined, body };
  }
  body.cancel();
  throw new StorageError(
    `the store answered another part of object ${key} than the one asked for`,
    "is there a proxy or cache in front of the store?",
  );
}

class ObjectReader {
  readonly #connection: S3Connection;
  readonly #request: ReadRequest;
  readonly #first: Opened;
  #chunks: ReadableStreamDefaultReader<Bytes>;
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
    this.#chunks = first.body.getReader();
  }

  stream(crc32: (bytes: Uint8Array, before?: number) => number): ReadableStream<Bytes> {
    const { signal } = this.#request;
    const stop = () => this.#drop();
    signal?.addEventListener("abort", stop, { once: true });
    const finish = () => {
      signal?.removeEventListener("abort", stop);
      this.#drop();
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
      if (this.#position === this.#first.end) return undefined;
      await this.#recover(outcome);
      this.#chunks = (await this.#openAt(this.#position)).body.getReader();
    }
  }

  /** @returns the error when the transfer broke or ended. */
  async #read(): Promise<Bytes | Error> {
    try {
      const { done, value } = await this.#chunks.read();
      if (!done) return value;
      return broken(`the transfer ended ${this.#first.end - this.#position} bytes early`);
    } catch (error) {
      return error instanceof Error ? error : broken(String(error));
    }
  }

  /** Gives up what is still to come of the current answer. */
  #drop(): void {
    this.#chunks.cancel().catch(() => {}); // it may have broken already
  }

  #accept(chunk: Bytes): Bytes {
    this.#position += chunk.length;
    if (this.#position <= this.#first.end) return chunk;
    throw new StorageError(`the store sent more of object ${this.#request.key} than it announced`);
  }

  /** Waits before the transfer is taken up again, unless it broke too often. */
  async #recover(error: Error): Promise<void> {
    const { key, signal } = this.#request;
    this.#drop();
    this.#breaks += 1;
    const allowed = BREAKS + (this.#position - this.#first.start) / BYTES_PER_BREAK;
    if (this.#breaks > allowed) {
      const { settings } = this.#connection;
      throw s3Error(new S3Failure(error), { operation: "GetObject", key }, settings);
    }
    await this.#connection.backOff(Math.min(this.#breaks, BREAKS), { signal });
  }

  async #openAt(start: number): Promise<Opened> {
    const { key, signal } = this.#request;
    const ifMatch = this.#first.etag;
    if (ifMatch === undefined) throw new StorageError(`the store gives no etag of object ${key}`);
    const wanted = { key, signal, range: [start, this.#first.end] as const };
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
