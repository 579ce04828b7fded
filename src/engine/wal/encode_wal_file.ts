import { createHash } from "node:crypto";
import { BLOCK_BYTES, type CodecSpec, encodeBlock } from "../../codec/codec.ts";
import type { Bytes } from "../../domain/bytes.ts";
import { MiB } from "../../domain/bytes.ts";
import { IntegrityError } from "../../domain/errors.ts";
import { parseTimelineHistory } from "../../domain/timeline_history.ts";
import type { WalName } from "../../domain/wal.ts";
import { isCompressedWal, walKey, type WalPlace } from "../../domain/wal_key.ts";
import { attemptRead, type FileIdentity, identityFrom, walNameOf } from "./wal_file.ts";
import { checkWalHeader } from "./wal_header.ts";
import {
  clearWriter,
  type EncodedWal,
  sha256Of,
  type WalSeal,
  type WalWriter,
} from "./wal_object.ts";

/** PostgreSQL writes a few hundred bytes. */
const MAX_TEXT_BYTES = MiB;
/** Between so many blocks the caller gets a turn. */
const BLOCKS_A_TURN = 4;

/** A file of pg_wal, checked, compressed, hashed and, where it has to be, encrypted. */
export interface EncodedWalFile {
  readonly path: string;
  readonly name: WalName;
  readonly identity: FileIdentity;
  readonly encoded: EncodedWal;
}

/** What a file is encoded with. */
export interface EncodeOptions {
  readonly codec: CodecSpec;
  /** Where it goes, and whose it must be; files that do not say pass. */
  readonly place: WalPlace;
  /** Encrypts it. Undefined: it is stored in the clear. It has to be said. */
  readonly seal: WalSeal | undefined;
  /** Awaited now and then: what else is under way goes on meanwhile. */
  readonly turn?: () => Promise<void>;
}

/**
 * Lets connections and transfers proceed. Only a timer does: after `setImmediate`, and after files
 * are read, Deno comes back without having looked at its sockets.
 */
export async function takeTurn(): Promise<void> {
  await new Promise<void>((next) => setTimeout(next, 0));
}

/**
 * Reads a file of pg_wal block by block, checks that it is what its name says, compresses, hashes
 * and encrypts it: on other threads, while this one compresses the next block. One raw block is in
 * memory: touching 16 MiB of fresh memory takes longer than reading it.
 *
 * @throws {UsageError} when PostgreSQL archives nothing of that name.
 * @throws {IntegrityError} when it is not what its name says.
 * @throws {RunFailedError} when it cannot be read.
 */
export async function encodeWalFile(path: string, options: EncodeOptions): Promise<EncodedWalFile> {
  const name = walNameOf(path);
  using file = attemptRead(path, () => Deno.openSync(path));
  const info = attemptRead(path, () => file.statSync());
  if (!info.isFile) throw new IntegrityError(`${path} is no file`);
  if (info.size === 0) throw new IntegrityError(`WAL file ${path} is empty`);
  const key = walKey(options.place, name);
  const writer = options.seal ? options.seal({ name, key }) : clearWriter();
  const source = { path, name, file, size: info.size, writer };
  const encode = isCompressedWal(name) ? encodeSegment : encodeText;
  const digest = { rawBytes: info.size, sha256: await encode(source, options) };
  const encoded = { ...digest, ...await writer.end(digest) };
  return { path, name, identity: identityFrom(info), encoded };
}

interface Source {
  readonly path: string;
  readonly name: WalName;
  readonly file: Deno.FsFile;
  readonly size: number;
  readonly writer: WalWriter;
}

/** Returns the SHA-256 of the plain bytes, as {@link encodeText} does. */
async function encodeSegment(
  { path, name, file, size, writer }: Source,
  { codec, place: { systemIdentifier }, turn }: EncodeOptions,
): Promise<string> {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(Math.min(size, BLOCK_BYTES));
  for (let at = 0, blocks = 1; at < size; at += buffer.length, blocks++) {
    const raw = buffer.subarray(0, Math.min(buffer.length, size - at));
    readExactly(path, { file, into: raw });
    if (at === 0 && isCompressedWal(name)) {
      checkWalHeader(raw, { name, fileBytes: size, systemIdentifier });
    }
    hash.update(raw);
    await writer.write(await encodeBlock(codec, raw, { frugal: true }));
    if (blocks % BLOCKS_A_TURN === 0) await turn?.();
  }
  return hash.digest("hex");
}

async function encodeText({ path, name, file, size, writer }: Source): Promise<string> {
  if (size > MAX_TEXT_BYTES) {
    throw new IntegrityError(`WAL file ${name.name} has ${size} bytes, too many for a text`);
  }
  const bytes = new Uint8Array(size);
  readExactly(path, { file, into: bytes });
  checkText(name, new TextDecoder().decode(bytes));
  const sha256 = sha256Of(bytes);
  await writer.write(bytes);
  return sha256;
}

function readExactly(
  path: string,
  { file, into }: { readonly file: Deno.FsFile; readonly into: Bytes },
): void {
  for (let at = 0; at < into.length;) {
    const length = attemptRead(path, () => file.readSync(into.subarray(at)));
    if (length === null) throw new IntegrityError(`${path} became shorter while it was read`);
    at += length;
  }
}

function checkText(name: WalName, text: string): void {
  if (name.kind === "history") parseTimelineHistory(name.timeline, text);
  else if (!/^START WAL LOCATION: /.test(text)) {
    throw new IntegrityError(`WAL file ${name.name} is no backup history file`);
  }
}
