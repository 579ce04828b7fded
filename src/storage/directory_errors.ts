/** What the operating system refuses, in words that say what to do. */
import { BackupctlError, StorageError } from "../domain/errors.ts";

interface Explanation {
  readonly what: string;
  readonly hint: string;
}

const EXPLANATIONS: Readonly<Record<string, Explanation>> = {
  ENOSPC: {
    what: "no space left on the device",
    hint:
      "free space on the repository's file system; old backups by backupctl prune, never by hand",
  },
  EDQUOT: {
    what: "the disk quota is used up",
    hint: "raise the quota, or run backupctl prune",
  },
  EACCES: {
    what: "permission denied",
    hint: "does the folder, with all that is in it, belong to the user that runs backupctl?",
  },
  EPERM: {
    what: "operation not permitted",
    hint: "does the folder belong to the user that runs backupctl, and is nothing immutable in it?",
  },
  EROFS: {
    what: "the file system is read-only",
    hint: "was it remounted read-only after an error? see the kernel's log",
  },
  ENOTDIR: {
    what: "a part of the path is a file, not a folder",
    hint: "a folder cannot hold an object and a folder of the same name",
  },
  EISDIR: {
    what: "a folder has this name",
    hint: "a folder cannot hold an object and a folder of the same name",
  },
  ENAMETOOLONG: { what: "the path is too long", hint: "shorten the path of the repository" },
  ELOOP: { what: "too many symbolic links", hint: "give the real path of the repository" },
  EXDEV: {
    what: "it lies on another file system than the root of the repository",
    hint: "mount one file system at the root of the repository, nothing below it",
  },
  EFBIG: {
    what: "the file would be too large",
    hint: "raise the file size limit (ulimit -f), or choose a file system for large files",
  },
  EMFILE: { what: "too many open files", hint: "raise the limit of open files (ulimit -n)" },
  EIO: {
    what: "input/output error",
    hint: "the disk or its connection fails: see the kernel's log, and verify the backups",
  },
  ESTALE: { what: "stale file handle", hint: "mount the network file system again" },
};

/** The code of the operating system, such as `ENOENT`. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** Whether there is simply no such file: absent itself, or below something that is no folder. */
export function isAbsence(error: unknown): boolean {
  const code = errorCode(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

/** A {@link StorageError} that names what was tried, what refused, and the remedy. */
export function directoryError(error: unknown, action: string): Error {
  if (error instanceof BackupctlError) return error;
  if (error instanceof DOMException && error.name === "AbortError") return error;
  const { what, hint } = explain(error);
  return new StorageError(`cannot ${action}: ${what}`, hint, { cause: error });
}

/** Runs one step and words its failure. */
export async function attempt<T>(action: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw directoryError(error, action);
  }
}

function explain(error: unknown): { readonly what: string; readonly hint: string | undefined } {
  const known = EXPLANATIONS[errorCode(error) ?? ""];
  if (known !== undefined) return known;
  const what = error instanceof Error ? error.message : String(error);
  return { what, hint: undefined };
}
