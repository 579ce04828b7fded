import type { CodecSpec } from "../../codec/codec.ts";
import type { Bytes } from "../../domain/bytes.ts";
import { ArchiveConflictError, IntegrityError, ObjectExistsError } from "../../domain/errors.ts";
import { isSealed } from "../../domain/sealed_form.ts";
import type { WalName } from "../../domain/wal.ts";
import { walKey, type WalPlace } from "../../domain/wal_key.ts";
import type { ObjectInfo, ObjectStore } from "../../storage/storage.ts";
import type { EncodedWalFile } from "./encode_wal_file.ts";
import {
  decodeWal,
  digestOf,
  type EncodedWal,
  joined,
  sha256Of,
  tagIn,
  type WalSeal,
  type WalTag,
} from "./wal_object.ts";

/** Longer than any stored segment of 1 GiB. */
const MAX_STORED_BYTES = 1.01 * 2 ** 30;
/** A key that is taken at one moment and free at the next is somebody removing objects. */
const MAX_ATTEMPTS = 3;

/** What pushing needs of the world. */
export interface WalPushParts {
  readonly store: ObjectStore;
  readonly place: WalPlace;
  /** zstd: the name of a stored segment says so. */
  readonly codec: CodecSpec & { readonly algorithm: "zstd" };
  /** False: the store takes "only if absent" for nothing, so it is asked before. */
  readonly conditionalPut: boolean;
  /** Encrypts a file. Undefined: what is pushed is stored in the clear. It has to be said. */
  readonly seal: WalSeal | undefined;
  /** What tells equal files of this cluster apart from others, made from their SHA-256. */
  readonly tagOf?: WalTag;
}

/** What became of one file. */
export interface WalPushReport {
  readonly name: string;
  readonly key: string;
  /** `already_archived`: the archive had it, with this very content. */
  readonly outcome: "stored" | "already_archived";
  readonly rawBytes: number;
  readonly storedBytes: number;
  /** Of the plain bytes. */
  readonly sha256: string;
}

/**
 * Stores a file in the archive and has the store confirm it. Nothing is ever overwritten.
 *
 * @throws {ArchiveConflictError} when the archive holds other content under its name.
 * @throws {StorageError} when the store cannot be reached or refuses: nothing is acknowledged.
 * @throws {IntegrityError} when the store acknowledged what it then does not have.
 */
export async function pushWal(
  parts: WalPushParts,
  { name, encoded }: EncodedWalFile,
  signal?: AbortSignal,
): Promise<WalPushReport> {
  const key = walKey(parts.place, name);
  const report = {
    ...{ name: name.name, key, rawBytes: encoded.rawBytes, sha256: encoded.sha256 },
    storedBytes: encoded.stored.length,
  };
  const push: Push = { ...parts, key, name, encoded, signal };
  for (let attempt = 1;; attempt++) {
    const stored = await putIfAbsent(push);
    const held = await parts.store.head(key, signal ? { signal } : {});
    if (held) {
      await compare(push, held, stored);
      return { ...report, outcome: stored ? "stored" : "already_archived" };
    }
    if (attempt === MAX_ATTEMPTS) throw vanished(push, stored);
  }
}

interface Push extends WalPushParts {
  readonly key: string;
  readonly name: WalName;
  readonly encoded: EncodedWal;
  readonly signal: AbortSignal | undefined;
}

/** Whether it was stored; false: the key was taken. */
async function putIfAbsent(
  { store, key, encoded: { stored, metadata }, conditionalPut, signal }: Push,
): Promise<boolean> {
  const reading = signal ? { signal } : {};
  if (!conditionalPut && await store.head(key, reading)) return false;
  try {
    await store.put(key, stored, { ifAbsent: conditionalPut, metadata, ...reading });
    return true;
  } catch (error) {
    if (error instanceof ObjectExistsError) return false;
    throw error;
  }
}

/** Plain hashes decide: level and version of the compression may differ for the same WAL. */
async function compare(push: Push, held: ObjectInfo, stored: boolean): Promise<void> {
  if (!await isSame(push, held)) throw new ArchiveConflictError(push.name.name);
  const { length } = push.encoded.stored;
  if (!stored || held.size === length) return;
  throw new IntegrityError(
    `the store keeps ${held.size} of the ${length} bytes of ${push.key}`,
    "it acknowledged them all: do not trust it with backups",
  );
}

async function isSame({ encoded, ...push }: Push, held: ObjectInfo): Promise<boolean> {
  const known = tagIn(held) ?? digestOf(held) ?? await foundByReading(push);
  if ("sha256" in known) return known.sha256 === encoded.sha256;
  if (!push.tagOf) throw new TypeError("encrypted WAL cannot be compared");
  return known.tag === await push.tagOf(encoded.sha256);
}

/** For objects whose metadata was lost on the way, such as by a copy to another bucket. */
async function foundByReading(
  { store, key, name, signal }: Omit<Push, "encoded">,
): Promise<{ readonly sha256: string } | { readonly tag: string }> {
  const stored = await readStored(await store.get(key, signal ? { signal } : {}), key);
  if (!isSealed(stored)) {
    return { sha256: sha256Of(...decodeWal(name, { stored, expected: undefined })) };
  }
  const { readSealHeader } = await import("../../crypto/crypto.ts");
  return { tag: readSealHeader(stored)?.header.tag ?? "" };
}

/** Reads a stored WAL object. @throws {IntegrityError} when it is longer than any can be. */
export async function readStored(stream: ReadableStream<Bytes>, key: string): Promise<Bytes> {
  const parts: Bytes[] = [];
  let length = 0;
  for await (const part of stream) {
    length += part.length;
    if (length > MAX_STORED_BYTES) throw new IntegrityError(`${key} is too long for a WAL file`);
    parts.push(part);
  }
  return joined(parts);
}

function vanished({ key }: Push, stored: boolean): IntegrityError {
  return new IntegrityError(
    stored
      ? `the store acknowledged ${key} and does not have it`
      : `${key} is taken at one moment and absent at the next`,
    "does a lifecycle rule or another program remove objects there?",
  );
}
