/** What one process asks the operating system for, as far as it makes files durable. */
export class DurabilityLog implements Disposable {
  /** `sync NAME`, `rename FROM → TO`, `run PROGRAM`, in order; names are relative to the folder. */
  readonly events: string[] = [];
  readonly #folder: string;
  readonly #restore: () => void;

  /** Listens until it is disposed of; only to what happens in `folder`, and on this thread. */
  constructor(folder: string) {
    this.#folder = folder;
    const { open, openSync, rename, renameSync, Command } = Deno;
    const { sync, syncSync } = Deno.FsFile.prototype;
    const files = new WeakMap<Deno.FsFile, string | URL>();
    const note = (what: string) => this.events.push(what);
    const name = (path: string | URL) => this.#relative(String(path));
    Deno.open = async (path, options) => {
      const file = await open(path, options);
      files.set(file, path);
      return file;
    };
    Deno.openSync = (path, options) => {
      const file = openSync(path, options);
      files.set(file, path);
      return file;
    };
    Deno.rename = async (from, to) => {
      await rename(from, to);
      note(`rename ${name(from)} → ${name(to)}`);
    };
    Deno.renameSync = (from, to) => {
      renameSync(from, to);
      note(`rename ${name(from)} → ${name(to)}`);
    };
    Deno.FsFile.prototype.sync = async function () {
      await sync.call(this);
      note(`sync ${name(files.get(this) ?? "?")}`);
    };
    Deno.FsFile.prototype.syncSync = function () {
      syncSync.call(this);
      note(`sync ${name(files.get(this) ?? "?")}`);
    };
    Deno.Command = class extends Command {
      constructor(command: string | URL, options?: Deno.CommandOptions) {
        super(command, options);
        note([`run ${command}`, ...(options?.args ?? []).map(name)].join(" "));
      }
    };
    this.#restore = () => {
      Object.assign(Deno, { open, openSync, rename, renameSync, Command });
      Object.assign(Deno.FsFile.prototype, { sync, syncSync });
    };
  }

  #relative(path: string): string {
    if (path === this.#folder) return ".";
    return path.startsWith(`${this.#folder}/`) ? path.slice(this.#folder.length + 1) : path;
  }

  [Symbol.dispose](): void {
    this.#restore();
  }
}
