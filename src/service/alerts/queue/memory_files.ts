import { pause } from "../../../domain/pause.ts";
import { type FolderEntry, type FolderFiles, LOCK_PAUSE } from "./folder_files.ts";

interface File {
  readonly text: string;
  readonly modifiedAt: Date;
}

/** A folder that nothing outlives, for hosts where none can be written. */
export class MemoryFiles implements FolderFiles {
  readonly #files = new Map<string, File>();
  readonly #held = new Set<string>();
  readonly #now: () => Date;

  constructor({ now }: { readonly now: () => Date }) {
    this.#now = now;
  }

  /** See {@link FolderFiles}. */
  async prepare(): Promise<void> {}

  /** See {@link FolderFiles}. */
  write(name: string, text: string): Promise<void> {
    this.#files.set(name, { text, modifiedAt: this.#now() });
    return Promise.resolve();
  }

  /** See {@link FolderFiles}. */
  async sync(): Promise<void> {}

  /** See {@link FolderFiles}. */
  rename(from: string, to: string): Promise<void> {
    const file = this.#files.get(from);
    if (!file) return Promise.reject(new Deno.errors.NotFound(from));
    this.#files.delete(from);
    this.#files.set(to, file);
    return Promise.resolve();
  }

  /** See {@link FolderFiles}. */
  remove(name: string): Promise<void> {
    this.#files.delete(name);
    return Promise.resolve();
  }

  /** See {@link FolderFiles}. */
  async syncFolder(): Promise<void> {}

  /** See {@link FolderFiles}. */
  read(name: string): Promise<string | undefined> {
    return Promise.resolve(this.#files.get(name)?.text);
  }

  /** See {@link FolderFiles}. */
  list(): Promise<readonly FolderEntry[]> {
    const entries = [...this.#files].map(([name, { modifiedAt }]) => ({ name, modifiedAt }));
    return Promise.resolve(entries.sort((a, b) => a.name < b.name ? -1 : 1));
  }

  /** Runs `work` while nobody else of this process does so under the same name. */
  async locked<T>(name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    while (this.#held.has(name)) await pause(LOCK_PAUSE, signal);
    this.#held.add(name);
    try {
      return await work();
    } finally {
      this.#held.delete(name);
    }
  }
}
