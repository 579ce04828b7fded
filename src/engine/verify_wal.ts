import { createHash } from "node:crypto";
import { BlockReader, decodeBlock } from "../codec/codec.ts";
import type { Bytes } from "../domain/bytes.ts";
import { IntegrityError, ObjectMissingError, VersionError } from "../domain/errors.ts";
import { mapLimited } from "../domain/map_limited.ts";
import { isSealed, SEALED_MAGIC } from "../domain/sealed_form.ts";
import type { WalName } from "../domain/wal.ts";
import { isCompressedWal, parseWalKey, walFolder, type WalPlace } from "../domain/wal_key.ts";
import type { ObjectInfo, ObjectStore, ReadOptions } from "../storage/storage.ts";
import { checkWalHeader, WAL_HEADER_BYTES } from "./wal/wal_header.ts";
import { digestOf, joined, storedHashOf } from "./wal/wal_object.ts";

/** What to read back. */
export interface VerifyWalOptions extends ReadOptions {
  readonly place: WalPlace;
  /** Only segments of this timeline. */
  readonly timeline?: number;
  /** The first and the last segment, by name; both are checked. */
  readonly from?: string;
  readonly to?: string;
  /** Which of those to read. @default {all} */
  readonly wanted?: (name: WalName) => boolean;
  /** Opens what is encrypted under a key; absent: only its stored bytes are compared. */
  readonly unseal?: (key: string) => TransformStream<Bytes, Bytes>;
  /** Objects at a time; each holds a block of 1 MiB or two. @default {4} */
  readonly jobs?: number;
  /** Hears of each object when it was read, with its plain length. */
  readonly onChecked?: (name: string, rawBytes: number) => void;
  /** Hears of each object that is what it must be, in the order of the archive. */
  readonly onWhole?: (name: WalName) => void;
}

/** An object that is not what it must be. */
export interface DamagedWal {
  readonly key: string;
  readonly reason: string;
}

/** What reading back found. */
export interface VerifyWalReport {
  readonly objects: number;
  readonly storedBytes: number;
  readonly rawBytes: number;
  readonly damaged: readonly DamagedWal[];
  /** Objects whose metadata was lost, by a copy of the bucket perhaps: only their form was checked. */
  readonly withoutDigest: number;
}

/** Objects listed before they are read. */
const BATCH = 64;

/**
 * Reads the archive back and compares each object's stored length, plain length, SHA-256 and header
 * with what its metadata and its name say. Memory is bounded, whatever the archive's size.
 *
 * @throws {StorageError} when the store cannot be asked: that is no finding.
 */
export async function verifyWal(
  store: ObjectStore,
  options: VerifyWalOptions,
): Promise<VerifyWalReport> {
  const sums = { objects: 0, storedBytes: 0, rawBytes: 0, withoutDigest: 0 };
  const damaged: DamagedWal[] = [];
  for await (const batch of batches(listed(store, options))) {
    const found = await mapLimited(batch, options.jobs ?? 4, async ({ name, info }) => {
      const result = await checked(store, { name, info }, options);
      options.onChecked?.(name.name, result.rawBytes);
      return { ...result, name };
    });
    for (const { name, storedBytes, rawBytes, hasDigest, reason, key } of found) {
      sums.objects += 1;
      sums.storedBytes += storedBytes;
      sums.rawBytes += rawBytes;
      if (!hasDigest) sums.withoutDigest += 1;
      if (reason !== undefined) damaged.push({ key, reason });
      else options.onWhole?.(name);
    }
  }
  return { ...sums, damaged };
}

interface Listed {
  readonly name: WalName;
  readonly info: ObjectInfo;
}

async function* listed(
  store: ObjectStore,
  { place, timeline, from, to, wanted, signal }: VerifyWalOptions,
): AsyncGenerator<Listed> {
  for await (const info of store.list(walFolder(place), signal ? { signal } : {})) {
    const name = parseWalKey(place, info.key);
    if (!name || (timeline !== undefined && name.timeline !== timeline)) continue;
    if (name.kind !== "history" && !isBetween(name.name, from, to)) continue;
    if (wanted?.(name) ?? true) yield { name, info };
  }
}

/** By place in the log, whatever the timeline. */
function isBetween(name: string, from: string | undefined, to: string | undefined): boolean {
  const place = name.slice(8, 24);
  if (from !== undefined && place < from.slice(8, 24)) return false;
  return to === undefined || place <= to.slice(8, 24);
}

async function* batches(all: AsyncIterable<Listed>): AsyncGenerator<readonly Listed[]> {
  let batch: Listed[] = [];
  for await (const one of all) {
    batch.push(one);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

interface Checked {
  readonly key: string;
  readonly storedBytes: number;
  readonly rawBytes: number;
  readonly hasDigest: boolean;
  /** What is wrong with it. */
  readonly reason?: string;
}

async function checked(
  store: ObjectStore,
  { name, info: { key, size } }: Listed,
  { place, unseal, signal }: VerifyWalOptions,
): Promise<Checked> {
  const reading = signal ? { signal } : {};
  const stream = new WalStream(name, key);
  let hasDigest = true;
  try {
    const info = await store.head(key, reading);
    const digest = info && digestOf(info);
    const hash = info && storedHashOf(info);
    hasDigest = digest !== undefined || hash !== undefined;
    const { sealed, bytes: stored } = await peeked(await store.get(key, reading));
    const counted = stored.pipeThrough(stream.counter());
    const plain = sealed && unseal ? counted.pipeThrough(unseal(key)) : counted;
    const isClosed = sealed && !unseal;
    for await (const bytes of plain) if (!isClosed) stream.push(bytes);
    stream.compareStored({ size, hash });
    if (!isClosed) stream.end({ digest, systemIdentifier: place.systemIdentifier });
    return { key, ...stream.sums, hasDigest };
  } catch (error) {
    return { key, ...stream.sums, hasDigest, reason: reasonOf(error) };
  }
}

/** Whether an object is encrypted, and all of it from its first byte on. */
async function peeked(
  stream: ReadableStream<Bytes>,
): Promise<{ readonly sealed: boolean; readonly bytes: ReadableStream<Bytes> }> {
  const chunks = stream[Symbol.asyncIterator]();
  const first: Bytes[] = [];
  let head: Bytes = new Uint8Array(0);
  while (head.length <= SEALED_MAGIC.length) {
    const { done, value } = await chunks.next();
    if (done) break;
    first.push(value);
    head = joined([head, value]);
  }
  async function* all(): AsyncGenerator<Bytes> {
    try {
      yield* first;
      yield* { [Symbol.asyncIterator]: () => chunks };
    } finally {
      await chunks.return?.();
    }
  }
  return { sealed: isSealed(head), bytes: ReadableStream.from(all()) };
}

/** A store that cannot be asked is no damage; an object that vanished is. */
function reasonOf(error: unknown): string {
  const isFinding = error instanceof IntegrityError || error instanceof ObjectMissingError ||
    error instanceof VersionError;
  if (isFinding) return error.message;
  throw error;
}

/** Opens a stored object block by block and remembers only what is compared. */
class WalStream {
  readonly #name: WalName;
  readonly #key: string;
  readonly #reader: BlockReader | undefined;
  readonly #hash = createHash("sha256");
  readonly #storedHash = createHash("sha256");
  readonly #head: Bytes = new Uint8Array(WAL_HEADER_BYTES);
  #storedBytes = 0;
  #rawBytes = 0;

  constructor(name: WalName, key: string) {
    this.#name = name;
    this.#key = key;
    this.#reader = isCompressedWal(name) ? new BlockReader("zstd") : undefined;
  }

  get sums(): { readonly storedBytes: number; readonly rawBytes: number } {
    return { storedBytes: this.#storedBytes, rawBytes: this.#rawBytes };
  }

  /** Counts and hashes what is stored, before it is opened. */
  counter(): TransformStream<Bytes, Bytes> {
    return new TransformStream({
      transform: (bytes, controller) => {
        this.#storedBytes += bytes.length;
        this.#storedHash.update(bytes);
        controller.enqueue(bytes);
      },
    });
  }

  /** @throws {IntegrityError} when something else was listed or recorded. */
  compareStored(
    { size, hash }: { readonly size: number; readonly hash: string | undefined },
  ): void {
    if (this.#storedBytes !== size) {
      this.#refuse(`has ${this.#storedBytes} stored bytes, ${size} were listed`);
    }
    const found = this.#storedHash.digest("hex");
    if (hash !== undefined && found !== hash) {
      this.#refuse(`is stored with SHA-256 ${found}, ${hash} was written`);
    }
  }

  push(bytes: Bytes): void {
    if (!this.#reader) return this.#plain(bytes);
    for (const block of this.#reader.push(bytes)) this.#plain(decodeBlock("zstd", block.bytes));
  }

  /** @throws {IntegrityError} when the whole is not what it must be. */
  end({ digest, systemIdentifier }: {
    readonly digest: ReturnType<typeof digestOf>;
    readonly systemIdentifier: string;
  }): void {
    this.#reader?.end();
    if (digest && digest.rawBytes !== this.#rawBytes) {
      this.#refuse(`holds ${this.#rawBytes} bytes, ${digest.rawBytes} were stored`);
    }
    const sha256 = this.#hash.digest("hex");
    if (digest && digest.sha256 !== sha256) {
      this.#refuse(`has SHA-256 ${sha256}, ${digest.sha256} was stored`);
    }
    const name = this.#name;
    if (name.kind !== "segment" && name.kind !== "partial") return;
    checkWalHeader(this.#head, { name, fileBytes: this.#rawBytes, systemIdentifier });
  }

  #plain(bytes: Bytes): void {
    if (this.#rawBytes < this.#head.length) {
      this.#head.set(bytes.subarray(0, this.#head.length - this.#rawBytes), this.#rawBytes);
    }
    this.#hash.update(bytes);
    this.#rawBytes += bytes.length;
  }

  #refuse(what: string): never {
    throw new IntegrityError(`${this.#key} ${what}`);
  }
}
