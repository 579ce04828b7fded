import { createHash } from "node:crypto";
import { BLOCK_BYTES, type CodecSpec, encodeBlock } from "../../codec/codec.ts";
import type { Bytes } from "../../domain/bytes.ts";
import { MiB } from "../../domain/bytes.ts";
import { IntegrityError } from "../../domain/errors.ts";
import { parseTimelineHistory } from "../../domain/timeline_history.ts";
import type { WalName } from "../../domain/wal.ts";
import { isCompressedWal } from "../../domain/wal_key.ts";
import { attemptRead, type FileIdentity, identityFrom, walNameOf } from "./wal_file.ts";
import { checkWalHeader } from "./wal_header.ts";
import { type EncodedWal, joined } from "./wal_object.ts";

/** PostgreSQL writes a few hundred bytes. */
const MAX_TEXT_BYTES = MiB;
/** Between so many blocks the caller gets a turn. */
const BLOCKS_A_TURN = 4;

/** A file of pg_wal, checked, compressed and hashed. */
export interface EncodedWalFile {
  readonly path: string;
  readonly name: WalName;
  readonly identity: FileIdentity;
  readonly encoded: EncodedWal;
}

/** What a file is encoded with. */
export interface EncodeOptions {
  readonly codec: CodecSpec;
  /** Whose it must be; files that do not say pass. */
  readonly systemIdentifier?: string;
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
 * Reads a file of pg_wal block by block, checks that it is what its name says, compresses and
 * hashes it. One block is in memory: touching 16 MiB of fresh memory takes longer than reading it.
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
  const source = { path, name, file, size: info.size };
  const encoded = isCompressedWal(name) ? await encodeSegment(source, options) : encodeText(source);
  return { path, name, identity: identityFrom(info), encoded };
}

interface Source {
  readonly path: string;
  readonly name: WalName;
  readonly file: Deno.FsFile;
  readonly size: number;
}

async function encodeSegment(
  { path, name, file, size }: Source,
  { codec, systemIdentifier, turn }: EncodeOptions,
): Promise<EncodedWal> {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(Math.min(size, BLOCK_BYTES));
  const blocks: Bytes[] = [];
  for (let at = 0; at < size; at += buffer.length) {
    const raw = buffer.subarray(0, Math.min(buffer.length, size - at));
    readExactly(path, { file, into: raw });
    if (at === 0) checkSegment(name, { raw, size, systemIdentifier });
    hash.update(raw);
    blocks.push(await encodeBlock(codec, raw, { frugal: true }));
    if (blocks.length % BLOCKS_A_TURN === 0) await turn?.();
  }
  return { stored: joined(blocks), rawBytes: size, sha256: hash.digest("hex") };
}

function encodeText({ path, name, file, size }: Source): EncodedWal {
  if (size > MAX_TEXT_BYTES) {
    throw new IntegrityError(`WAL file ${name.name} has ${size} bytes, too many for a text`);
  }
  const bytes = new Uint8Array(size);
  readExactly(path, { file, into: bytes });
  checkText(name, new TextDecoder().decode(bytes));
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { stored: bytes, rawBytes: size, sha256 };
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

function checkSegment(
  name: WalName,
  { raw, size, systemIdentifier }: {
    readonly raw: Bytes;
    readonly size: number;
    readonly systemIdentifier: string | undefined;
  },
): void {
  if (name.kind !== "segment" && name.kind !== "partial") return;
  checkWalHeader(raw, { name, fileBytes: size, systemIdentifier });
}

function checkText(name: WalName, text: string): void {
  if (name.kind === "history") parseTimelineHistory(name.timeline, text);
  else if (!/^START WAL LOCATION: /.test(text)) {
    throw new IntegrityError(`WAL file ${name.name} is no backup history file`);
  }
}
