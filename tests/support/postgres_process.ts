/** Server processes of the tests: started, watched by their log, ended by their process id. */
import { serverUser } from "./server_user.ts";

/** Where and how a server runs. */
export interface ProcessOptions {
  readonly binDir: string;
  readonly dataDir: string;
  /** For the Unix socket, and the working directory of programs. */
  readonly folder: string;
  readonly settings: Readonly<Record<string, string | number>>;
  readonly env: Readonly<Record<string, string>>;
  /** Tried first; a free one when absent or taken. */
  readonly port?: number;
}

const SIGNALS = {
  smart: "SIGTERM",
  fast: "SIGINT",
  immediate: "SIGQUIT",
  crash: "SIGKILL",
} as const;
/** Of a start, recovery included, and of a stop. */
const PATIENCE_MS = 60_000;
const PORT_TAKEN = /could not bind .*Address already in use|could not create any TCP/i;
/** Ends the server and removes its folder when the tests' process dies; a line tells that it need not. */
const GUARD = `trap '' INT TERM HUP; read -r line && exit; kill -QUIT "$0"; sleep 2; rm -rf "$1"`;
const READY = /database system is ready to accept/;

/** A postmaster. */
export class PostgresProcess {
  readonly #child: Deno.ChildProcess;
  readonly #guard: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  readonly #waiting = new Set<() => void>();
  #log = "";
  #ended: Deno.CommandStatus | undefined;

  private constructor(child: Deno.ChildProcess, folder: string) {
    this.#child = child;
    this.#guard = new Deno.Command("sh", {
      args: ["-c", GUARD, String(child.pid), folder],
      ...{ stdin: "piped", stdout: "null", stderr: "null" },
    }).spawn();
    this.#reading = this.#read();
  }

  get pid(): number {
    return this.#child.pid;
  }
  get log(): string {
    return this.#log;
  }

  /**
   * Starts a server on a free port and waits for its "ready to accept connections".
   *
   * @throws {Error} with the log when it ends before.
   */
  static async start(options: ProcessOptions): Promise<{ process: PostgresProcess; port: number }> {
    for (let attempt = 1;; attempt++) {
      const port = attempt === 1 && options.port ? options.port : freePort();
      const process = new PostgresProcess(spawn(options, port), options.folder);
      try {
        await process.logged(READY);
        return { process, port };
      } catch (error) {
        await process.stop("immediate");
        if (attempt === 3 || !PORT_TAKEN.test(process.log)) throw error;
      }
    }
  }

  /** Resolves when the log matches. @throws {Error} with the log when the server ends before. */
  async logged(pattern: RegExp): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!pattern.test(this.#log)) {
      if (this.#ended) throw new Error(`the server ended (${this.#ended.code}):\n${this.#log}`);
      if (Date.now() > deadline) throw new Error(`no ${pattern} in the log:\n${this.#log}`);
      await this.#change(deadline - Date.now());
    }
  }

  async stop(mode: keyof typeof SIGNALS): Promise<void> {
    this.#kill(SIGNALS[mode]);
    const timer = setTimeout(() => this.#kill("SIGKILL"), PATIENCE_MS);
    await this.#reading;
    clearTimeout(timer);
    await this.#dismissGuard();
  }

  async #dismissGuard(): Promise<void> {
    const writer = this.#guard.stdin.getWriter();
    await writer.write(new TextEncoder().encode("done\n"));
    await writer.close();
    await this.#guard.status;
  }

  #kill(signal: Deno.Signal): void {
    try {
      if (!this.#ended) this.#child.kill(signal);
    } catch {
      // It ended a moment ago.
    }
  }

  async #read(): Promise<void> {
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.#log += text;
      this.#wake();
    }
    this.#ended = await this.#child.status;
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  async #change(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    const timer = setTimeout(resolve, milliseconds);
    await promise;
    clearTimeout(timer);
  }
}

/** Runs a program as the server's user with a clean environment. @throws {Error} unless it ends with 0. */
export async function runAsServer(
  program: string,
  args: readonly string[],
  { cwd, env, input }: {
    readonly cwd: string;
    readonly env: Readonly<Record<string, string>>;
    readonly input?: string;
  },
): Promise<{ readonly output: string; readonly errors: string }> {
  const child = new Deno.Command(program, {
    args: [...args],
    ...surroundings(cwd, env),
    ...{ stdin: input === undefined ? "null" : "piped", stdout: "piped", stderr: "piped" },
  }).spawn();
  const result = child.output();
  if (input !== undefined) await feed(child.stdin, input);
  const { success, code, stdout, stderr } = await result;
  const [output, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!success) throw new Error(`${program} ${args.join(" ")}: status ${code}\n${errors}${output}`);
  return { output: output!, errors: errors! };
}

async function feed(stdin: WritableStream<Uint8Array>, input: string): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  } catch {
    // The program ended before it read everything; its status tells why.
  }
}

function spawn({ binDir, dataDir, folder, settings, env }: ProcessOptions, port: number) {
  const fixed = {
    ...{ port, listen_addresses: "127.0.0.1", unix_socket_directories: folder, fsync: "off" },
    ...{ logging_collector: "off", log_destination: "stderr", lc_messages: "C" },
    ...settings,
  };
  const args = Object.entries(fixed).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return new Deno.Command(`${binDir}/postgres`, {
    args: ["-D", dataDir, ...args],
    ...surroundings(folder, env),
    ...{ stdin: "null", stdout: "null", stderr: "piped" },
  }).spawn();
}

function surroundings(cwd: string, env: Readonly<Record<string, string>>): Deno.CommandOptions {
  const path = Deno.env.get("PATH") ?? "/usr/bin:/bin";
  return {
    cwd,
    clearEnv: true,
    env: { PATH: path, HOME: cwd, TZ: "UTC", LC_ALL: "C", ...env },
    ...serverUser(),
  };
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
