/**
 * The few operations on files that durability is made of, one by one, so that a test can let the
 * power fail between any two of them.
 *
 * @module
 */
import { pause } from "../../../domain/pause.ts";

/** A file of a folder. */
export interface FolderEntry {
  readonly name: string;
  readonly modifiedAt: Date;
}

/** One flat folder. Names hold no slash. */
export interface FolderFiles {
  /** Makes the folder if it is absent. */
  prepare(): Promise<void>;
  /** Creates or empties a file and writes it; nothing of it need survive a crash yet. */
  write(name: string, text: string): Promise<void>;
  /** Returns when what was written to the file is on the disk. */
  sync(name: string): Promise<void>;
  /** Replaces `to`. */
  rename(from: string, to: string): Promise<void>;
  /** Absent ones are fine. */
  remove(name: string): Promise<void>;
  /** Returns when names that came, went and changed are on the disk. */
  syncFolder(): Promise<void>;
  /** Undefined when it is absent. */
  read(name: string): Promise<string | undefined>;
  list(): Promise<readonly FolderEntry[]>;
  /** Runs `work` while no other process does so under the same name. */
  locked<T>(name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

/** Only this user may read whom alerts tell what. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
/** Milliseconds between two tries to get a lock: a lock that is waited for would hold a thread. */
export const LOCK_PAUSE = 50;

/** A folder on this machine's disk. */
export class DiskFolder implements FolderFiles {
  readonly #folder: string;

  /** @param folder made when it is needed. */
  constructor(folder: string) {
    this.#folder = folder.replace(/\/+$/, "");
  }

  /** See {@link FolderFiles}. */
  async prepare(): Promise<void> {
    await Deno.mkdir(this.#folder, { recursive: true, mode: FOLDER_MODE });
  }

  /**
   * Makes the folder if it is absent, and tries whether this user can do in it what alerts need.
   *
   * @throws what the disk says, when the folder or a file of it is somebody else's, or it is full.
   */
  async probe(): Promise<void> {
    await this.prepare();
    for (const { name } of await this.list()) await this.#probeFile(name);
    const temporary = `tmp-${crypto.randomUUID()}`;
    try {
      await this.write(temporary, "probe\n");
      await this.sync(temporary);
    } finally {
      await this.remove(temporary);
    }
  }

  /** See {@link FolderFiles}. */
  async write(name: string, text: string): Promise<void> {
    await Deno.writeTextFile(this.#path(name), text, { mode: FILE_MODE });
  }

  /** See {@link FolderFiles}. */
  async sync(name: string): Promise<void> {
    using file = await Deno.open(this.#path(name), { read: true, write: true });
    await file.sync();
  }

  /** See {@link FolderFiles}. */
  async rename(from: string, to: string): Promise<void> {
    await Deno.rename(this.#path(from), this.#path(to));
  }

  /** See {@link FolderFiles}. */
  async remove(name: string): Promise<void> {
    await Deno.remove(this.#path(name)).catch(ignoreMissing);
  }

  /** See {@link FolderFiles}. */
  async syncFolder(): Promise<void> {
    using handle = await Deno.open(this.#folder);
    await handle.sync();
  }

  /** See {@link FolderFiles}. */
  async read(name: string): Promise<string | undefined> {
    return await Deno.readTextFile(this.#path(name)).catch(ignoreMissing);
  }

  /** See {@link FolderFiles}. */
  async list(): Promise<readonly FolderEntry[]> {
    const entries: FolderEntry[] = [];
    try {
      for await (const { name, isFile } of Deno.readDir(this.#folder)) {
        const info = isFile ? await Deno.stat(this.#path(name)).catch(ignoreMissing) : undefined;
        if (info) entries.push({ name, modifiedAt: info.mtime ?? new Date(0) });
      }
    } catch (error) {
      ignoreMissing(error);
    }
    return entries.sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** See {@link FolderFiles}. */
  async locked<T>(name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const options = { create: true, write: true, mode: FILE_MODE };
    using file = await Deno.open(this.#path(name), options);
    // Before Deno 2.8 there is only the lock that is waited for.
    if (typeof file.tryLock !== "function") await file.lock(true);
    else while (!await file.tryLock(true)) await pause(LOCK_PAUSE, signal);
    try {
      return await work();
    } finally {
      await file.unlock();
    }
  }

  /** What is replaced need only be read; a lock is written to. Other files are not looked at. */
  async #probeFile(name: string): Promise<void> {
    const isLock = name.endsWith(".lock");
    if (!isLock && !name.endsWith(".json")) return;
    const file = await Deno.open(this.#path(name), { read: !isLock, write: isLock })
      .catch(ignoreMissing);
    file?.close();
  }

  #path(name: string): string {
    return `${this.#folder}/${name}`;
  }
}

function ignoreMissing(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
