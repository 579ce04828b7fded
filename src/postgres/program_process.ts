import type { Bytes } from "../domain/bytes.ts";
import { PostgresError } from "../domain/errors.ts";
import { type Program, ProgramError, type RunningProgram } from "./postgres.ts";

const GRACE_MS = 5000;
/** Characters of standard error that are kept, the last ones. */
const MOST_STDERR = 64 * 1024;
/** Lines of standard error in the error's message. */
const SHOWN_LINES = 5;

/** How a program is run. */
export interface ProcessOptions {
  readonly args: readonly string[];
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: "piped" | "null";
  readonly user?: { readonly uid: number; readonly gid: number };
  readonly cwd?: string;
  /** Milliseconds between SIGTERM and SIGKILL. @default {5000} */
  readonly graceMs?: number;
  /** Called once, when it has ended or could not start. */
  readonly cleanUp?: () => void;
  readonly signal?: AbortSignal;
}

/** A program at work, and what is left to do when it ends. */
export class ProgramProcess implements RunningProgram {
  readonly stdout: ReadableStream<Bytes>;
  readonly stdin: WritableStream<Bytes>;
  readonly #program: Program;
  readonly #child: Deno.ChildProcess;
  readonly #finished: Promise<{ readonly stderr: string }>;
  readonly #graceMs: number;
  #stderr = "";
  #ended = false;

  private constructor(program: Program, child: Deno.ChildProcess, options: ProcessOptions) {
    this.#program = program;
    this.#child = child;
    this.#graceMs = options.graceMs ?? GRACE_MS;
    this.stdout = child.stdout as ReadableStream<Bytes>;
    this.stdin = options.stdin === "piped"
      ? child.stdin as WritableStream<Bytes>
      : noInput(program);
    this.#finished = this.#finish(options);
    this.#finished.catch(() => {}); // reported by finished()
  }

  /** @throws {PostgresError} when it cannot be started. */
  static start(program: Program, options: ProcessOptions): ProgramProcess {
    const { args, env, stdin, user, cwd, cleanUp } = options;
    try {
      const streams = { stdin, stdout: "piped", stderr: "piped" } as const;
      const command = new Deno.Command(program.path, {
        args: [...args],
        env: { ...env },
        clearEnv: true,
        ...user,
        ...(cwd !== undefined && { cwd }),
        ...streams,
      });
      return new ProgramProcess(program, command.spawn(), options);
    } catch (cause) {
      cleanUp?.();
      throw new PostgresError(
        `cannot run ${program.path}: ${cause instanceof Error ? cause.message : cause}`,
        "may this user run it?",
        { cause },
      );
    }
  }

  async finished(): Promise<{ readonly stderr: string }> {
    return await this.#finished;
  }

  async kill(): Promise<void> {
    this.#send("SIGTERM");
    const timer = setTimeout(() => this.#send("SIGKILL"), this.#graceMs);
    await this.#child.status;
    clearTimeout(timer);
  }

  async #finish({ cleanUp, signal }: ProcessOptions): Promise<{ readonly stderr: string }> {
    const abort = () => void this.kill();
    signal?.addEventListener("abort", abort);
    try {
      const [status] = await Promise.all([this.#status(), this.#readErrors()]);
      if (status.success) return { stderr: this.#stderr };
      signal?.throwIfAborted();
      throw this.#failure(status);
    } finally {
      signal?.removeEventListener("abort", abort);
      cleanUp?.();
    }
  }

  async #status(): Promise<Deno.CommandStatus> {
    const status = await this.#child.status;
    this.#ended = true;
    return status;
  }

  /** Standard error must be read all the time, or the program waits for that. */
  async #readErrors(): Promise<void> {
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.#stderr = `${this.#stderr}${text}`.slice(-MOST_STDERR);
    }
  }

  #failure({ code, signal }: Deno.CommandStatus): PostgresError {
    const how = signal ? `was ended by ${signal}` : `ended with status ${code}`;
    const lines = this.#stderr.split("\n").map((line) => line.trim()).filter((line) => line !== "");
    const said = lines.slice(-SHOWN_LINES).join("; ");
    return new ProgramError(`${this.#program.name} ${how}${said ? `: ${said}` : ""}`, {
      status: signal ? undefined : code,
      stderr: this.#stderr,
    });
  }

  #send(signal: Deno.Signal): void {
    if (this.#ended) return;
    try {
      this.#child.kill(signal);
    } catch {
      // It ended a moment ago.
    }
  }
}

/** What stands in for the input of a program that has none. */
function noInput({ name }: Program): WritableStream<Bytes> {
  return new WritableStream({
    write() {
      throw new Error(`${name} was started without standard input`);
    },
  });
}
