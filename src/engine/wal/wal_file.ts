import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError, RunFailedError, UsageError } from "../../domain/errors.ts";
import { parseTimelineHistory } from "../../domain/timeline_history.ts";
import { parseWalName, type WalName } from "../../domain/wal.ts";
import { checkWalHeader } from "./wal_header.ts";

/** What tells a file from another one that gets its name later: PostgreSQL recycles segments. */
export interface FileIdentity {
  readonly device: number;
  readonly inode: number;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
  /** Of the inode, in whole seconds: nobody can set it, so it tells a file that got an old one's time. */
  readonly changed: number;
}

/** A file of pg_wal, read and checked. */
export interface WalFile {
  readonly path: string;
  readonly name: WalName;
  readonly identity: FileIdentity;
  readonly bytes: Bytes;
  /** Of the system that wrote it; of those that say. */
  readonly systemIdentifier: string | undefined;
}

/** Of a backup history file; PostgreSQL writes a few hundred bytes. */
const MAX_TEXT_BYTES = 1024 * 1024;

/**
 * The kind of file that a path names.
 *
 * @throws {UsageError} when it is none that PostgreSQL archives.
 */
export function walNameOf(path: string): WalName {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const parsed = parseWalName(name);
  if (parsed) return parsed;
  throw new UsageError(
    `${JSON.stringify(name.slice(0, 80))} is no name of a WAL file`,
    "give the path that PostgreSQL puts in place of %p",
  );
}

/**
 * Reads a file of pg_wal into one buffer and checks that it is what its name says.
 *
 * @param buffer is read into when it has the file's length: touching fresh memory takes as long as
 * reading.
 * @throws {IntegrityError} when it is not.
 * @throws {RunFailedError} when it cannot be read.
 */
export function readWalFile(path: string, buffer?: Bytes): WalFile {
  const name = walNameOf(path);
  const { bytes, identity } = readWhole(path, buffer);
  if (bytes.length === 0) throw new IntegrityError(`WAL file ${path} is empty`);
  return { path, name, identity, bytes, systemIdentifier: checkContent(name, bytes) };
}

/** What a file is at the moment. @throws {RunFailedError} when there is none. */
export function identityOf(path: string): FileIdentity {
  return attempt(path, () => identity(Deno.statSync(path)));
}

/** Whether two looks at a name saw the same file with the same content. */
export function isSameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.device === b.device && a.inode === b.inode && a.bytes === b.bytes &&
    a.modified === b.modified && a.changed === b.changed;
}

function identity(info: Deno.FileInfo): FileIdentity {
  return {
    device: info.dev,
    inode: info.ino ?? 0,
    bytes: info.size,
    modified: info.mtime?.getTime() ?? 0,
    changed: info.ctime?.getTime() ?? 0,
  };
}

/** One preallocated buffer: three times as fast as `Deno.readFileSync`, which grows its own. */
function readWhole(
  path: string,
  buffer: Bytes | undefined,
): { readonly bytes: Bytes; readonly identity: FileIdentity } {
  return attempt(path, () => {
    using file = Deno.openSync(path);
    const info = file.statSync();
    if (!info.isFile) throw new IntegrityError(`${path} is no file`);
    const bytes = buffer?.length === info.size ? buffer : new Uint8Array(info.size);
    let at = 0;
    while (at < bytes.length) {
      const length = file.readSync(bytes.subarray(at));
      if (length === null) break;
      at += length;
    }
    if (at === bytes.length) return { bytes, identity: identity(info) };
    throw new IntegrityError(`${path} became shorter while it was read`);
  });
}

function checkContent(name: WalName, bytes: Bytes): string | undefined {
  if (name.kind === "segment" || name.kind === "partial") {
    return checkWalHeader(bytes, { name, fileBytes: bytes.length }).systemIdentifier;
  }
  if (bytes.length > MAX_TEXT_BYTES) {
    throw new IntegrityError(
      `WAL file ${name.name} has ${bytes.length} bytes, too many for a text`,
    );
  }
  const text = new TextDecoder().decode(bytes);
  if (name.kind === "history") parseTimelineHistory(name.timeline, text);
  else if (!/^START WAL LOCATION: /.test(text)) {
    throw new IntegrityError(`WAL file ${name.name} is no backup history file`);
  }
  return undefined;
}

function attempt<T>(path: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error instanceof IntegrityError) {
      throw error;
    }
    const reason = error.message.replace(/ \(os error \d+\).*$/s, "");
    throw new RunFailedError(
      `cannot read WAL file ${path}: ${reason}`,
      "PostgreSQL gives paths relative to its data directory: is that the working directory?",
      { cause: error },
    );
  }
}
