import { StorageError } from "../domain/errors.ts";
import { attempt, errorCode, isAbsence } from "./directory_errors.ts";

/** Above this many, what is known to be durable is forgotten rather than kept for ever. */
const REMEMBERED_FOLDERS = 10_000;

/**
 * The folders below one root. No symbolic link below the root is followed: it could lead out of
 * the repository. (Whoever may write to the repository can still swap a folder between the check
 * and the use; Deno has no `openat`.)
 */
export class DirectoryTree {
  /** Absolute, without symbolic links. */
  readonly root: string;
  readonly #durable = new Set<string>();

  constructor(root: string) {
    this.root = root;
  }

  /** Where the file of `key` is. */
  path(key: string): string {
    return `${this.root}/${key}`;
  }

  /** What is at `key`, or undefined when nothing is: a folder or a device is no object. */
  async stat(key: string): Promise<Deno.FileInfo | undefined> {
    if (!await this.hasFolder(parentOf(key))) return undefined;
    const path = this.path(key);
    const info = await attempt(`look up ${path}`, () => lstat(path));
    if (info?.isSymlink) throw symlinkError(path);
    return info?.isFile ? info : undefined;
  }

  /** Whether the folder is there, reached without any symbolic link. `""` is the root. */
  async hasFolder(folder: string): Promise<boolean> {
    const path = this.#folderPath(folder);
    const real = await attempt(`look up ${path}`, () => realPath(path));
    if (real === undefined) return false;
    if (real !== path) throw symlinkError(path);
    return true;
  }

  /**
   * Makes the folder that `key` needs, then runs `place`. Another process may remove the folder
   * as empty between the two: then both are done again.
   */
  async inFolderOf<T>(key: string, place: () => Promise<T>): Promise<T> {
    const folder = parentOf(key);
    for (let tries = 1;; tries++) {
      await this.makeFolder(folder);
      try {
        const placed = await place();
        await this.sync(folder);
        return placed;
      } catch (error) {
        if (errorCode(error) !== "ENOENT" || tries === 20) throw error;
        this.#durable.delete(folder);
      }
    }
  }

  /** Creates the folder and those above it, each 0700 whatever the umask, and makes them durable. */
  async makeFolder(folder: string): Promise<void> {
    if (this.#durable.has(folder) && await this.hasFolder(folder)) return;
    if (folder !== "") {
      const parent = parentOf(folder);
      await this.makeFolder(parent);
      const path = this.#folderPath(folder);
      const made = await attempt(`create the folder ${path}`, () => makeOne(path));
      // The folder above went away again: the caller repeats the whole.
      if (!made) return;
      if (!await this.hasFolder(folder)) return;
      await this.sync(parent);
    }
    if (this.#durable.size >= REMEMBERED_FOLDERS) this.#durable.clear();
    this.#durable.add(folder);
  }

  /** Makes the names in a folder durable. A folder that is gone has nothing to keep. */
  async sync(folder: string): Promise<void> {
    const path = this.#folderPath(folder);
    await attempt(`sync the folder ${path}`, async () => {
      try {
        using file = await Deno.open(path);
        await file.sync();
      } catch (error) {
        if (!isAbsence(error)) throw error;
      }
    });
  }

  /** Makes the name of `key`, or its absence, durable. */
  async syncFolderOf(key: string): Promise<void> {
    await this.sync(parentOf(key));
  }

  /** Removes the folder of `key` and those above it as long as they are empty, never the root. */
  async removeEmptyFolders(key: string): Promise<void> {
    for (let folder = parentOf(key); folder !== ""; folder = parentOf(folder)) {
      this.#durable.delete(folder);
      try {
        await Deno.remove(this.#folderPath(folder));
      } catch (error) {
        if (errorCode(error) !== "ENOENT") return; // not empty, or not ours to remove
      }
    }
  }

  #folderPath(folder: string): string {
    return folder === "" ? this.root : this.path(folder);
  }
}

/** Everything before the last slash; `""` for a key at the root. */
export function parentOf(key: string): string {
  return key.slice(0, Math.max(0, key.lastIndexOf("/")));
}

/** What is said of a symbolic link inside a repository. */
export function symlinkError(path: string): StorageError {
  return new SymlinkError(
    `${path} is, or is reached by, a symbolic link inside the repository`,
    "links are not followed; mount or move the files to where the link is",
  );
}

/** Whether that is what ended a call. */
export function isSymlinkError(error: unknown): boolean {
  return error instanceof SymlinkError;
}

class SymlinkError extends StorageError {}

async function lstat(path: string): Promise<Deno.FileInfo | undefined> {
  return await Deno.lstat(path).catch(absent);
}

async function realPath(path: string): Promise<string | undefined> {
  return await Deno.realPath(path).catch(absent);
}

function absent(error: unknown): undefined {
  if (!isAbsence(error)) throw error;
}

/** @returns false when the folder above is gone. */
async function makeOne(path: string): Promise<boolean> {
  try {
    await Deno.mkdir(path, { mode: 0o700 });
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT") return false;
    if (code !== "EEXIST") throw error;
    if (!(await lstat(path))?.isFile) return true;
    throw Object.assign(new Error(`${path} is a file`), { code: "ENOTDIR" });
  }
  await Deno.chmod(path, 0o700); // the umask may have taken bits away
  await giveToFolderOwner(path);
  return true;
}

/**
 * What root makes in somebody's folder is given to them: PostgreSQL's user could not even list a
 * repository any more after a restore or a backup by root. Not through a link that stands there by
 * now: its owner may have put it there.
 *
 * @param path just made.
 */
export async function giveToFolderOwner(path: string): Promise<void> {
  if (Deno.uid() !== 0) return;
  const { uid, gid } = await Deno.lstat(path.slice(0, path.lastIndexOf("/")) || "/");
  if (!uid || gid === null) return;
  const { lchown } = await import("node:fs/promises"); // not on everybody's way through wal-push
  await lchown(path, uid, gid);
}
