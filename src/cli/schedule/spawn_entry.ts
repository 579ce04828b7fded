import { resolve } from "node:path";
import { RunFailedError } from "../../domain/errors.ts";
import { pause } from "../../domain/pause.ts";
import type { Child, ChildEnd, ScheduleEntry } from "../../service/service.ts";
import type { Context } from "../context.ts";
import { programWords } from "../wal/start_background.ts";

/** Milliseconds that a child's last lines may take. */
const LAST_LINES = 2_000;
/** Variables that speak to this process alone. sd_notify(3). */
const OWN_VARIABLES = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/** How entries are run. */
export interface SpawnOptions {
  readonly context: Context;
  /** The form of the daemon's own log lines. */
  readonly format: "text" | "json";
}

/**
 * Runs an entry in a process of its own: this very program with the same configuration. What it
 * prints is passed on line by line; its error is kept for the schedule.
 *
 * @throws {RunFailedError} when this program may not start itself.
 */
export function spawnEntry(entry: ScheduleEntry, { context, format }: SpawnOptions): Child {
  const [program, ...words] = programWords();
  if (program === undefined) {
    throw new RunFailedError(
      "this program may not start itself",
      "its permissions allow it where /proc/self/exe can be run, or the folder of backupctl is in PATH",
    );
  }
  const child = new Deno.Command(program, {
    args: [...words, ...entry.args, ...ownFlags(context, format)],
    env: childEnvironment(context.env),
    clearEnv: true,
    // Ctrl-C in a terminal reaches the daemon alone, which then asks its children to end.
    detached: true,
    ...{ stdin: "null", stdout: "piped", stderr: "piped" },
  }).spawn();
  const prefix = format === "text" ? `[${entry.name}] ` : "";
  const { stdout, stderr } = context.terminal;
  const printed = format === "text"
    ? passOn(child.stdout, (line) => stdout.write(`${prefix}${line}\n`))
    : child.stdout.pipeTo(new WritableStream());
  let message: string | undefined;
  const told = passOn(child.stderr, (line) => {
    message = /^error: (.*)$/.exec(line)?.[1] ?? message;
    stderr.write(`${prefix}${line}\n`);
  });
  const ended = endOf(child, { outputs: [printed, told], message: () => message });
  return { pid: child.pid, ended, end: (how) => end(child, how) };
}

async function endOf(
  child: Deno.ChildProcess,
  { outputs, message }: {
    readonly outputs: readonly Promise<void>[];
    readonly message: () => string | undefined;
  },
): Promise<ChildEnd> {
  const status = await child.status;
  // A program that the child left behind may hold its outputs open for ever.
  const read = Promise.all(outputs.map((one) => one.catch(() => {})));
  const late = new AbortController();
  await Promise.race([read, pause(LAST_LINES, late.signal).catch(() => {})]);
  late.abort();
  const text = message();
  const exitStatus = status.code;
  return { exitStatus, ...(exitStatus !== 0 && text !== undefined && { message: text }) };
}

function end(child: Deno.ChildProcess, how: "ask" | "kill"): void {
  try {
    child.kill(how === "ask" ? "SIGTERM" : "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function ownFlags({ options }: Context, format: "text" | "json"): readonly string[] {
  return [
    ...(options.config === undefined ? [] : ["--config", resolve(options.config)]),
    ...(options.cluster === undefined ? [] : ["--cluster", options.cluster]),
    ...["--log-format", format],
    ...(options.verbose ? ["--verbose"] : []),
  ];
}

function childEnvironment(env: Context["env"]): Record<string, string> {
  const entries = Object.entries(env).filter(([name, value]) =>
    value !== undefined && !OWN_VARIABLES.includes(name)
  );
  return Object.fromEntries(entries) as Record<string, string>;
}

/** Characters of a line at most: a program that prints none must not fill the memory. */
const LONGEST_LINE = 64 * 1024;

async function passOn(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  onLine: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    if (rest.length > LONGEST_LINE) lines.push(rest), rest = "";
    lines.forEach(onLine);
  }
  if (rest !== "") onLine(rest);
}
