import type { FolderFiles } from "./folder_files.ts";

/** Milliseconds after which a half-written file is nobody's any more. */
const ABANDONED_AFTER = 3_600_000;

/** Files that are there whole or not at all, whatever happens; small ones, in one flat folder. */
export class DurableFolder {
  readonly #files: FolderFiles;
  readonly #now: () => Date;

  constructor(files: FolderFiles, { now }: { readonly now: () => Date }) {
    this.#files = files;
    this.#now = now;
  }

  /** Creates or replaces a file; when it returns, no crash takes it back. */
  async put(name: string, text: string): Promise<void> {
    await this.#files.prepare();
    const temporary = `tmp-${crypto.randomUUID()}`;
    await this.#files.write(temporary, text);
    // Before the name points to it: else a crash may leave an empty file under the name.
    await this.#files.sync(temporary);
    await this.#files.rename(temporary, name);
    await this.#files.syncFolder();
  }

  /** Undefined when it is absent. */
  async get(name: string): Promise<string | undefined> {
    return await this.#files.read(name);
  }

  /** Removes a file; after a crash it may be there again. */
  async remove(name: string): Promise<void> {
    await this.#files.remove(name);
  }

  /** Names that begin with `prefix`, in order. */
  async names(prefix: string): Promise<readonly string[]> {
    const entries = await this.#files.list();
    return entries.map(({ name }) => name).filter((name) => name.startsWith(prefix)).sort();
  }

  /** Removes what crashed writers left behind. */
  async sweep(): Promise<void> {
    const limit = this.#now().getTime() - ABANDONED_AFTER;
    for (const { name, modifiedAt } of await this.#files.list()) {
      if (name.startsWith("tmp-") && modifiedAt.getTime() < limit) await this.#files.remove(name);
    }
  }

  /** Runs `work` while no other process does so under the same name. */
  async locked<T>(name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#files.prepare();
    return await this.#files.locked(`${name}.lock`, work, signal);
  }
}
