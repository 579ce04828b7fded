import type { FolderEntry, FolderFiles } from "../../../src/service/alerts/queue/folder_files.ts";

/** Thrown by the operation during which the power fails, and by every one after it. */
export class PowerFailure extends Error {}

interface File {
  text: string;
  /** What is on the disk; undefined: nothing yet. */
  synced: string | undefined;
}

/**
 * A folder whose power fails at a chosen operation. What was not synced may be lost: a file's
 * content, and names that came or went since the folder itself was synced; `keeps` decides for
 * each, since a disk may have written them on its own.
 */
export class CrashingFolder implements FolderFiles {
  #names = new Map<string, File>();
  #durable = new Map<string, File>();
  #left = Infinity;
  #keeps: () => boolean = () => false;
  /** Operations so far. */
  operations = 0;

  /** Lets the power fail at the operation behind the next `count`. */
  failAfter(count: number, keeps: () => boolean): void {
    this.#left = count;
    this.#keeps = keeps;
  }

  /** The machine starts again with what is on its disk. */
  restart(): void {
    this.#left = Infinity;
    const found = new Map<string, File>();
    for (const name of new Set([...this.#names.keys(), ...this.#durable.keys()])) {
      const [now, before] = [this.#names.get(name), this.#durable.get(name)];
      const file = now === before || this.#keeps() ? now : before;
      if (!file) continue;
      const text = file.text === file.synced || this.#keeps() ? file.text : file.synced ?? "";
      found.set(name, { text, synced: text });
    }
    this.#names = found;
    this.#durable = new Map(found);
  }

  async prepare(): Promise<void> {
    await this.#step();
  }

  async write(name: string, text: string): Promise<void> {
    this.#names.set(name, { text, synced: this.#names.get(name)?.synced });
    await this.#step();
  }

  async sync(name: string): Promise<void> {
    await this.#step();
    const file = this.#names.get(name)!;
    file.synced = file.text;
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step();
    this.#names.set(to, this.#names.get(from)!);
    this.#names.delete(from);
  }

  async remove(name: string): Promise<void> {
    await this.#step();
    this.#names.delete(name);
  }

  async syncFolder(): Promise<void> {
    await this.#step();
    this.#durable = new Map(this.#names);
  }

  async read(name: string): Promise<string | undefined> {
    await this.#step();
    return this.#names.get(name)?.text;
  }

  async list(): Promise<readonly FolderEntry[]> {
    await this.#step();
    return [...this.#names.keys()].sort().map((name) => ({ name, modifiedAt: new Date(0) }));
  }

  async locked<T>(_name: string, work: () => Promise<T>): Promise<T> {
    return await work();
  }

  async #step(): Promise<void> {
    await Promise.resolve();
    this.operations++;
    if (this.#left-- <= 0) {
      this.#left = 0;
      throw new PowerFailure("the power fails");
    }
  }
}
