import { RunFailedError } from "../domain/errors.ts";
import { briefReason } from "../log/told_reason.ts";

/** One of the two standard outputs. */
export interface Output {
  readonly isTerminal: boolean;
  /** Whether to colour what goes there. */
  readonly color: boolean;
  /** Columns of the terminal; undefined elsewhere. */
  columns(): number | undefined;
  /** Writes at once. What follows a broken pipe is dropped silently. */
  write(data: string | Uint8Array): void;
  /** Nobody reads any more. */
  readonly closed: boolean;
}

/** Where results go to, and where logs and progress go to. */
export interface Terminal {
  readonly stdout: Output;
  readonly stderr: Output;
  /** Whether characters beyond ASCII show. */
  readonly unicode: boolean;
}

/** The part of Deno.stdout and Deno.stderr that is used here. */
interface Stream {
  isTerminal(): boolean;
  writeSync(data: Uint8Array): number;
}

/** The standard outputs of this process. */
export function openTerminal(env: Readonly<Record<string, string | undefined>>): Terminal {
  const locale = env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"] || "";
  const plain = Boolean(env["NO_COLOR"]) || env["TERM"] === "dumb";
  return {
    stdout: new StandardOutput(Deno.stdout, { plain, required: true }),
    stderr: new StandardOutput(Deno.stderr, { plain, required: false }),
    unicode: /utf-?8/i.test(locale),
  };
}

/** The same terminal, with `--no-color`. */
export function withoutColor(terminal: Terminal): Terminal {
  const plain = (output: Output): Output => ({
    isTerminal: output.isTerminal,
    color: false,
    columns: () => output.columns(),
    write: (data) => output.write(data),
    get closed() {
      return output.closed;
    },
  });
  return { ...terminal, stdout: plain(terminal.stdout), stderr: plain(terminal.stderr) };
}

/** The same terminal, for work whose remarks were made already. */
export function withoutStderr({ stderr, ...others }: Terminal): Terminal {
  const { isTerminal, color } = stderr;
  const silent: Output = {
    ...{ isTerminal, color, closed: false },
    columns: () => stderr.columns(),
    write: () => {},
  };
  return { ...others, stderr: silent };
}

class StandardOutput implements Output {
  readonly isTerminal: boolean;
  readonly color: boolean;
  readonly #stream: Stream;
  readonly #required: boolean;
  #closed = false;

  /** @param required whether a full disk behind it is a failure: results yes, logs no. */
  constructor(
    stream: Stream,
    { plain, required }: { readonly plain: boolean; readonly required: boolean },
  ) {
    this.#stream = stream;
    this.#required = required;
    this.isTerminal = stream.isTerminal();
    this.color = this.isTerminal && !plain;
  }

  get closed(): boolean {
    return this.#closed;
  }

  columns(): number | undefined {
    if (!this.isTerminal) return undefined;
    try {
      return Deno.consoleSize().columns || undefined;
    } catch {
      return undefined;
    }
  }

  write(data: string | Uint8Array): void {
    if (this.#closed) return;
    let rest = typeof data === "string" ? new TextEncoder().encode(data) : data;
    while (rest.length > 0) {
      const written = this.#writeSome(rest);
      if (written === undefined) return;
      rest = rest.subarray(written);
    }
  }

  #writeSome(bytes: Uint8Array): number | undefined {
    try {
      return this.#stream.writeSync(bytes);
    } catch (error) {
      if (error instanceof Deno.errors.WouldBlock) return waitABit();
      this.#closed = true;
      if (error instanceof Deno.errors.BrokenPipe || !this.#required) return undefined;
      const reason = briefReason(error);
      throw new RunFailedError(
        `standard output cannot be written: ${reason}`,
        "is the disk behind it full?",
        { cause: error },
      );
    }
  }
}

/** A pipe that another program made non-blocking is full: its reader needs a moment. */
function waitABit(): number {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  return 0;
}
