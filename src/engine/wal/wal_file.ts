import { BackupctlError, RunFailedError, UsageError } from "../../domain/errors.ts";
import { parseWalName, type WalName } from "../../domain/wal.ts";

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

/** What a file is at the moment. @throws {RunFailedError} when there is none. */
export function identityOf(path: string): FileIdentity {
  return attemptRead(path, () => identityFrom(Deno.statSync(path)));
}

/** Whether two looks at a name saw the same file with the same content. */
export function isSameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.device === b.device && a.inode === b.inode && a.bytes === b.bytes &&
    a.modified === b.modified && a.changed === b.changed;
}

/** What tells an open file from another. */
export function identityFrom(info: Deno.FileInfo): FileIdentity {
  return {
    device: info.dev,
    inode: info.ino ?? 0,
    bytes: info.size,
    modified: info.mtime?.getTime() ?? 0,
    changed: info.ctime?.getTime() ?? 0,
  };
}

/** Runs one step of reading a file and words its failure. @throws {RunFailedError} */
export function attemptRead<T>(path: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error instanceof BackupctlError) {
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
