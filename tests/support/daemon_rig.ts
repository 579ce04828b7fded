import { cleanEnvironment, spawnCli } from "./run_cli.ts";
import { removeTree } from "./remove_tree.ts";

/** One event of a daemon's log. */
export interface DaemonEvent {
  readonly event: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** A daemon in a process of its own, its log read as it is written. */
export class Daemon implements AsyncDisposable {
  readonly events: DaemonEvent[] = [];
  /** Everything on standard error. */
  text = "";
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<unknown>;
  #news = Promise.withResolvers<void>();
  #ended = false;

  /** @param spawn starts the program; from source, as this user, unless a test wants another. */
  constructor(
    args: readonly string[],
    env: Readonly<Record<string, string>>,
    spawn: typeof spawnCli = spawnCli,
  ) {
    this.#child = spawn(["schedule", "--daemon", "--log-format", "json", ...args], { env });
    this.#reading = Promise.all([
      this.#read(),
      this.#child.stdout.pipeTo(new WritableStream()),
      this.#child.status.then(() => {
        this.#ended = true;
        this.#news.resolve();
      }),
    ]);
  }

  get pid(): number {
    return this.#child.pid;
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** The end of the process. */
  async status(): Promise<number> {
    const { code } = await this.#child.status;
    await this.#reading;
    return code;
  }

  /** Waits until `count` events of a name are there. @throws {Error} with the log when it ends. */
  async until(event: string, count = 1): Promise<DaemonEvent> {
    while (true) {
      const found = this.events.filter((one) => one.event === event);
      if (found.length >= count) return found[count - 1]!;
      if (this.#ended) throw new Error(`the daemon ended before ${count} ${event}:\n${this.text}`);
      await this.#news.promise;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) {
      try {
        this.#child.kill("SIGKILL");
      } catch { /* it has ended meanwhile */ }
    }
    await this.#reading;
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const part of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.text += part;
      const lines = (rest + part).split("\n");
      rest = lines.pop()!;
      for (const line of lines) if (line.startsWith("{")) this.events.push(JSON.parse(line));
      const told = this.#news;
      this.#news = Promise.withResolvers();
      told.resolve();
    }
  }
}

/** A folder with a configuration, a repository and a state folder of its own. */
export class DaemonFolder implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(): Promise<DaemonFolder> {
    const path = await Deno.makeTempDir({ prefix: "backupctl-daemon-" });
    await Deno.mkdir(`${path}/repository`);
    return new DaemonFolder(path);
  }

  get config(): string {
    return `${this.path}/config.yaml`;
  }

  get env(): Record<string, string> {
    return { ...cleanEnvironment(), HOME: this.path };
  }

  async write(lines: readonly string[]): Promise<void> {
    const own = [`repository: { type: directory, path: ${this.path}/repository }`];
    const metadata = lines.some((line) => line.startsWith("metadata:"))
      ? []
      : ["metadata: { url: off }"];
    await Deno.writeTextFile(this.config, [...own, ...metadata, ...lines, ""].join("\n"));
  }

  start(...args: readonly string[]): Daemon {
    return new Daemon(["--config", this.config, ...args], this.env);
  }

  /** Keys of everything in the repository. */
  async keys(): Promise<readonly string[]> {
    const walk = async function* (folder: string, prefix: string): AsyncGenerator<string> {
      for await (const { name, isDirectory } of Deno.readDir(folder)) {
        if (isDirectory) yield* walk(`${folder}/${name}`, `${prefix}${name}/`);
        else yield prefix + name;
      }
    };
    return (await Array.fromAsync(walk(`${this.path}/repository`, ""))).sort();
  }

  /** What the schedule's ledger says of an entry's run. */
  async run(entry: string, cluster = "main"): Promise<Record<string, unknown> | undefined> {
    const text = await Deno.readTextFile(`${this.path}/repository/${cluster}/schedule.json`);
    return JSON.parse(text).entries[entry]?.run;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeTree(this.path);
  }
}
