import { createHash } from "node:crypto";
import { BlockReader, decodeBlock } from "../codec/codec.ts";
import type { Bytes } from "../domain/bytes.ts";
import { IntegrityError, ObjectMissingError, VersionError } from "../domain/errors.ts";
import { mapLimited } from "../domain/map_limited.ts";
import type { WalName } from "../domain/wal.ts";
import { isCompressedWal, parseWalKey, walFolder, type WalPlace } from "../domain/wal_key.ts";
import type { ObjectInfo, ObjectStore, ReadOptions } from "../storage/storage.ts";
import { checkWalHeader, WAL_HEADER_BYTES } from "./wal/wal_header.ts";
import { digestOf } from "./wal/wal_object.ts";

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
  { place, signal }: VerifyWalOptions,
): Promise<Checked> {
  const reading = signal ? { signal } : {};
  const stream = new WalStream(name, key);
  let hasDigest = true;
  try {
    const info = await store.head(key, reading);
    const digest = info && digestOf(info);
    hasDigest = digest !== undefined;
    for await (const bytes of await store.get(key, reading)) stream.push(bytes);
    stream.end({ size, digest, systemIdentifier: place.systemIdentifier });
    return { key, ...stream.sums, hasDigest };
  } catch (error) {
    return { key, ...stream.sums, hasDigest, reason: reasonOf(error) };
  }
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

  push(bytes: Bytes): void {
    this.#storedBytes += bytes.length;
    if (!this.#reader) return this.#plain(bytes);
    for (const block of this.#reader.push(bytes)) this.#plain(decodeBlock("zstd", block.bytes));
  }

  /** @throws {IntegrityError} when the whole is not what it must be. */
  end({ size, digest, systemIdentifier }: {
    readonly size: number;
    readonly digest: ReturnType<typeof digestOf>;
    readonly systemIdentifier: string;
  }): void {
    this.#reader?.end();
    if (this.#storedBytes !== size) {
      this.#refuse(`has ${this.#storedBytes} stored bytes, ${size} were listed`);
    }
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
