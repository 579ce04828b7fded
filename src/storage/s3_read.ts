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

/** What the first answer said of the object. */
interface Opening {
  readonly etag: string | undefined;
  readonly start: number;
  readonly end: number;
  /** The CRC-32 of all that is going to be read, when the store knows it. */
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
    const output = await getObject(connection, { ...request, ifMatch: undefined });
    const reader = new ObjectReader(connection, { request, opening: openingOf(output, request) });
    const { crc32 } = await connection.load();
    return reader.stream(crc32);
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
  const { bucket, keyPrefix } = connection.settings;
  return await connection.call({
    operation: "GetObject",
    key,
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
function openingOf(output: GetObjectCommandOutput, { key, range }: ReadRequest): Opening {
  const length = output.ContentLength;
  const body = output.Body as Readable | undefined;
  if (length === undefined || body === undefined) {
    body?.destroy();
    throw new StorageError(`the store does not say how long object ${key} is`);
  }
  const start = range?.[0] ?? 0;
  const wanted = range === undefined ? undefined : `bytes ${start}-${start + length - 1}/`;
  if (wanted !== undefined && output.ContentRange?.startsWith(wanted) !== true) {
    body.destroy();
    throw new StorageError(
      `the store answered another part of object ${key} than the one asked for`,
      "is there a proxy or cache in front of the store?",
    );
  }
  const isWhole = range === undefined && output.ChecksumCRC32?.includes("-") === false;
  const checksum = isWhole && output.ChecksumType !== "COMPOSITE"
    ? output.ChecksumCRC32
    : undefined;
  return { etag: output.ETag, start, end: start + length, checksum, body };
}

class ObjectReader {
  readonly #connection: S3Connection;
  readonly #request: ReadRequest;
  readonly #opening: Opening;
  #body: Readable;
  #chunks: AsyncIterator<Uint8Array>;
  #position: number;
  #breaks = 0;
  #crc = 0;

  constructor(
    connection: S3Connection,
    { request, opening }: { readonly request: ReadRequest; readonly opening: Opening },
  ) {
    this.#connection = connection;
    this.#request = request;
    this.#opening = opening;
    this.#position = opening.start;
    this.#body = opening.body;
    this.#chunks = opening.body[Symbol.asyncIterator]();
  }

  stream(crc32: (bytes: Uint8Array, before?: number) => number): ReadableStream<Bytes> {
    const { signal } = this.#request;
    const stop = () => this.#body.destroy();
    signal?.addEventListener("abort", stop, { once: true });
    const finish = () => {
      signal?.removeEventListener("abort", stop);
      this.#body.destroy();
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
      if (this.#missing === 0) return undefined;
      await this.#resume(outcome);
    }
  }

  /** @returns the error when the transfer broke, or ended before its end. */
  async #read(): Promise<Uint8Array | Error> {
    const { idleMs } = this.#connection.settings;
    const silence = Object.assign(new Error(`no byte within ${idleMs / 1000} s`), {
      name: "TimeoutError",
    });
    const timer = setTimeout(() => this.#body.destroy(silence), idleMs);
    try {
      const { done, value } = await this.#chunks.next();
      return done ? broken(`the transfer ended ${this.#missing} bytes early`) : value;
    } catch (error) {
      return error instanceof Error ? error : broken(String(error));
    } finally {
      clearTimeout(timer);
    }
  }

  #accept(chunk: Uint8Array): Bytes {
    if (chunk.length > this.#missing) {
      throw new StorageError(
        `the store sent more of object ${this.#request.key} than it announced`,
      );
    }
    this.#position += chunk.length;
    return chunk as Bytes;
  }

  get #missing(): number {
    return this.#opening.end - this.#position;
  }

  async #resume(error: Error): Promise<void> {
    const { key, signal } = this.#request;
    const { etag, start, end } = this.#opening;
    this.#body.destroy();
    this.#breaks += 1;
    const allowed = BREAKS + (this.#position - start) / BYTES_PER_BREAK;
    if (etag === undefined || this.#breaks > allowed) {
      throw s3Error(
        new S3Failure(error),
        { operation: "GetObject", key },
        this.#connection.settings,
      );
    }
    await this.#connection.backOff(Math.min(this.#breaks, BREAKS), { signal });
    const range = [this.#position, end] as const;
    const rest = { key, range, signal };
    try {
      const output = await getObject(this.#connection, { ...rest, ifMatch: etag });
      this.#body = openingOf(output, rest).body;
      this.#chunks = this.#body[Symbol.asyncIterator]();
    } catch (failure) {
      throw failure instanceof S3CallError ? this.#resumeError(failure) : failure;
    }
  }

  #resumeError(error: S3CallError): StorageError {
    const { code, status } = error.failure;
    if (status !== 412 && status !== 416 && code !== "NoSuchKey") return error.toStorageError();
    return new StorageError(
      `object ${this.#request.key} was replaced or removed while it was read`,
      "does somebody prune or overwrite the repository at the same time?",
    );
  }

  #checkSum(): void {
    const { checksum } = this.#opening;
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
