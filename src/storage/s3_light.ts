/**
 * S3 without the SDK, for the WAL path: whole objects in one request each, over connections of our
 * own. A process that pushes one segment has no time to load an SDK.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { type Bytes, GiB, MiB } from "../domain/bytes.ts";
import { type Clock, systemClock } from "../domain/clock.ts";
import { ObjectExistsError, ObjectMissingError, StorageError } from "../domain/errors.ts";
import { mapLimited } from "../domain/map_limited.ts";
import { type Body, cancelBody, consume } from "./body.ts";
import { type ByteRange, checkRange } from "./byte_range.ts";
import type { LightTarget } from "./light_connection.ts";
import { ConnectionError } from "./light_response.ts";
import { type LightAnswer, type LightTransport, SocketTransport } from "./light_transport.ts";
import { checkKey, checkMetadata, isKey } from "./object_key.ts";
import { s3Error, s3Location } from "./s3_errors.ts";
import { s3Address } from "./s3_light_address.ts";
import {
  bodyStream,
  checkAnsweredRange,
  infoOf,
  readFailure,
  readText,
} from "./s3_light_answer.ts";
import { type ListedPage, parseListing } from "./s3_light_listing.ts";
import { type LightCall, S3Requests } from "./s3_light_requests.ts";
import { type S3Options, type S3Settings, s3Settings } from "./s3_options.ts";
import { type AwsCredentials, sha256Hex, UNSIGNED_PAYLOAD } from "./sigv4.ts";
import type { DeleteOptions, ObjectInfo, ObjectStore, PutOptions, ReadOptions } from "./storage.ts";

/** More than any WAL object can be: bodies are held in memory. */
const MAX_BODY_BYTES = 2 * GiB - 1;
/** A page of 1,000 keys of 1,024 characters, each written as three. */
const MAX_LISTING_LENGTH = 16 * MiB;
const MAX_ANSWER_LENGTH = 64 * 1024;
const EMPTY_HASH = sha256Hex("");

/** Where objects go and how. */
export interface S3LightOptions extends S3Options {
  /** Where credentials come from when the options have none; `renew` when the last ones expired. */
  readonly findCredentials?: (renew: boolean) => Promise<AwsCredentials>;
  /** PEM; those of the system count besides. */
  readonly caCerts?: readonly string[];
  /** What carries the requests. @default connections of our own */
  readonly transport?: (target: LightTarget) => LightTransport;
  /** Milliseconds until a call, its further attempts included, is given up. @default {60000} */
  readonly deadlineMs?: number;
  /** Milliseconds until a connection is given up. @default {10000} */
  readonly connectMs?: number;
  readonly clock?: Clock;
}

/** The S3 adapter of the WAL path. */
export class S3LightStore implements ObjectStore {
  readonly location: string;
  readonly #settings: S3Settings;
  readonly #requests: S3Requests;
  readonly #transport: LightTransport;
  readonly #tls: boolean;

  /** Connects to nothing yet. @throws {ConfigError} for options that cannot work. */
  constructor(options: S3LightOptions) {
    const settings = s3Settings(options);
    const address = s3Address(settings);
    const { hostname, port, tls } = address;
    const { caCerts = [], connectMs = 10_000 } = options;
    const target = { hostname, port, tls, caCerts, connectMs, idleMs: settings.idleMs };
    this.location = s3Location(settings);
    this.#settings = settings;
    this.#tls = tls;
    this.#transport = options.transport?.(target) ?? new SocketTransport(target);
    this.#requests = new S3Requests({
      ...{ transport: this.#transport, address, settings },
      region: settings.region ?? "us-east-1",
      credentials: credentialsOf(options),
      clock: options.clock ?? systemClock,
      deadlineMs: options.deadlineMs ?? 60_000,
    });
  }

  /** Connects while the caller still prepares its first request. Never throws. */
  async warm(signal: AbortSignal = AbortSignal.timeout(10_000)): Promise<void> {
    await this.#transport.warm(signal);
  }

  async put(key: string, body: Body, options: PutOptions = {}): Promise<ObjectInfo> {
    try {
      options.signal?.throwIfAborted();
      checkKey(key);
      checkMetadata(options.metadata ?? {});
      const bytes = await collect(key, body, options);
      return await this.#put(key, bytes, options);
    } catch (error) {
      await cancelBody(body, error);
      throw error;
    }
  }

  async get(
    key: string,
    { range, signal }: ReadOptions & { readonly range?: ByteRange } = {},
  ): Promise<ReadableStream<Bytes>> {
    checkKey(key);
    checkRange(range);
    return await this.#requests.call({
      ...{ operation: "GetObject", method: "GET", key, payloadHash: EMPTY_HASH },
      ...(range && { headers: { range: `bytes=${range[0]}-${range[1] - 1}` } }),
      accept: range ? [200, 206, 404, 416] : [200, 404],
    }, { signal, take: (answer) => this.#opened(key, answer, { range, signal }) });
  }

  async head(key: string, { signal }: ReadOptions = {}): Promise<ObjectInfo | undefined> {
    checkKey(key);
    const info = await this.#requests.call({
      ...{ operation: "HeadObject", method: "HEAD", key, payloadHash: EMPTY_HASH },
      accept: [200, 404],
    }, {
      signal,
      take: (answer) => {
        answer.discard();
        return Promise.resolve(answer.status === 404 ? undefined : infoOf(key, answer));
      },
    });
    return info ?? await this.#doubt(key, signal);
  }

  async *list(
    prefix: string,
    { startAfter, signal }: ReadOptions & { readonly startAfter?: string } = {},
  ): AsyncIterable<ObjectInfo> {
    signal?.throwIfAborted();
    const root = this.#settings.keyPrefix;
    let token: string | undefined;
    do {
      const page: ListedPage = await this.#page({ prefix, startAfter, token, signal });
      for (const { key, ...info } of page.objects) {
        const own = key.slice(root.length);
        if (key.startsWith(root) && isKey(own)) yield { key: own, ...info };
      }
      token = page.next;
    } while (token !== undefined);
  }

  async delete(keys: readonly string[], { signal, guard }: DeleteOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    for (const key of keys) checkKey(key);
    await mapLimited(keys, 8, (key) => {
      guard?.();
      return this.#requests.call({
        ...{ operation: "DeleteObject", method: "DELETE", key, payloadHash: EMPTY_HASH },
        accept: [200, 204, 404],
      }, { signal, take: (answer) => readText(answer, MAX_ANSWER_LENGTH) });
    });
  }

  close(): Promise<void> {
    this.#transport.close();
    return Promise.resolve();
  }

  async #put(key: string, body: Bytes, options: PutOptions): Promise<ObjectInfo> {
    const { ifAbsent = false, ifMatch, metadata = {}, signal } = options;
    const headers = {
      ...this.#storing(metadata),
      ...(ifAbsent && { "if-none-match": "*" }),
      ...(ifMatch !== undefined && { "if-match": ifMatch }),
      ...(this.#tls && this.#settings.checksums && { "x-amz-checksum-crc32": crc32Base64(body) }),
    };
    const etag = await this.#requests.call({
      ...{ operation: "PutObject", method: "PUT", key, headers, body },
      payloadHash: this.#tls ? UNSIGNED_PAYLOAD : sha256Hex(body),
      // With If-Match, S3 answers 404 where there is nothing to match.
      accept: ifMatch === undefined ? [200, 412] : [200, 412, 404],
      // A store may answer 412 and reset before the body is read: look before sending it again.
      ...(ifAbsent && { afterBreak: (signal) => this.#refuseTaken(key, signal) }),
    }, { signal, take: (answer) => this.#stored(key, answer) });
    return { key, size: body.length, etag, metadata };
  }

  /** The etag. A store that answers 200 and an error, or names nothing that it has, has not stored. */
  async #stored(key: string, answer: LightAnswer): Promise<string> {
    const { status } = answer;
    if (status === 200) {
      const text = await readText(answer, MAX_ANSWER_LENGTH);
      const etag = answer.headers.get("etag");
      if (etag && !/<Error\b/.test(text)) return etag;
      throw new ConnectionError("it answered 200 and stored nothing", { answered: true });
    }
    const failure = await readFailure(answer);
    if (status === 412 || failure.code === "NoSuchKey") throw new ObjectExistsError(key);
    throw s3Error(failure, { operation: "PutObject", key }, this.#settings);
  }

  async #refuseTaken(key: string, signal: AbortSignal): Promise<void> {
    if (await this.head(key, { signal })) throw new ObjectExistsError(key);
  }

  #storing(metadata: Readonly<Record<string, string>>): Record<string, string> {
    const { storageClass, sse, kmsKeyId, bucketKey } = this.#settings;
    const own = Object.entries(metadata).map(([name, value]) => [`x-amz-meta-${name}`, value]);
    return {
      "content-type": "application/octet-stream",
      ...Object.fromEntries(own),
      ...(storageClass && { "x-amz-storage-class": storageClass }),
      ...(sse && { "x-amz-server-side-encryption": sse }),
      ...(kmsKeyId && { "x-amz-server-side-encryption-aws-kms-key-id": kmsKeyId }),
      ...(bucketKey && { "x-amz-server-side-encryption-bucket-key-enabled": "true" }),
    };
  }

  async #page({ prefix, startAfter, token, signal }: {
    readonly prefix: string;
    readonly startAfter: string | undefined;
    readonly token: string | undefined;
    readonly signal: AbortSignal | undefined;
  }): Promise<ListedPage> {
    const { keyPrefix } = this.#settings;
    const query = {
      ...{ "list-type": "2", "encoding-type": "url", prefix: keyPrefix + prefix },
      ...(startAfter !== undefined && { "start-after": keyPrefix + startAfter }),
      ...(token !== undefined && { "continuation-token": token }),
    };
    const call: LightCall = {
      ...{ operation: "ListObjectsV2", method: "GET", query, payloadHash: EMPTY_HASH },
      accept: [200],
    };
    const take = async (answer: LightAnswer) =>
      parseListing(await readText(answer, MAX_LISTING_LENGTH));
    return await this.#requests.call(call, { signal, take });
  }

  async #opened(
    key: string,
    answer: LightAnswer,
    { range, signal }: {
      readonly range: ByteRange | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<ReadableStream<Bytes>> {
    if (answer.status === 404) return await this.#absent(key, answer);
    if (range) checkAnsweredRange(key, { answer, range });
    return bodyStream(key, answer, signal);
  }

  /** Only the store's own word counts: a proxy, or a bucket that is gone, answers 404 too. */
  async #absent(key: string, answer: LightAnswer): Promise<never> {
    const failure = await readFailure(answer);
    if (failure.code === "NoSuchKey") throw new ObjectMissingError(key);
    throw s3Error(failure, { operation: "GetObject", key }, this.#settings);
  }

  /** An answer to HEAD has no body that tells an absent object from an absent bucket. */
  async #doubt(
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<ObjectInfo | undefined> {
    try {
      const stream = await this.get(key, signal ? { signal } : {});
      await stream.cancel();
    } catch (error) {
      if (error instanceof ObjectMissingError) return undefined;
      throw error;
    }
    return await this.head(key, signal ? { signal } : {});
  }
}

function credentialsOf(options: S3LightOptions): (renew: boolean) => Promise<AwsCredentials> {
  const { credentials, findCredentials } = options;
  if (credentials) return () => Promise.resolve(credentials);
  if (findCredentials) return findCredentials;
  throw new StorageError(
    "there are no credentials for the bucket",
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile",
  );
}

async function collect(key: string, body: Body, { size, signal }: PutOptions): Promise<Bytes> {
  const parts: Bytes[] = [];
  let total = 0;
  await consume(body, (part) => {
    total += part.length;
    if (total > MAX_BODY_BYTES) throw new StorageError(`object ${key} is too long for one request`);
    parts.push(part);
  }, { key, size, signal });
  return parts.length === 1 ? parts[0]! : await new Blob(parts).bytes();
}

function crc32Base64(bytes: Bytes): string {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(crc32(bytes));
  return value.toString("base64");
}
