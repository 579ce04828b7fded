import { systemClock } from "../domain/clock.ts";
import { BackupctlError, InterruptedError, RunFailedError } from "../domain/errors.ts";
import { formatSeconds } from "../domain/bytes.ts";
import { audited } from "./audited.ts";
import type { Command, Context } from "./context.ts";
import type { CommandLine } from "./grammar/grammar.ts";
import { readCommandLine } from "./read_command_line.ts";
import { reportFailure } from "./report_failure.ts";
import { openTerminal, type Terminal, withoutColor } from "./terminal.ts";

/** What main.ts hands over. */
export interface Invocation {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by a signal to the process. */
  readonly signal: AbortSignal;
}

/** Runs one command line. Never throws. @returns the exit status. */
export async function runCli({ args, env, signal }: Invocation): Promise<number> {
  let terminal = openTerminal(env);
  let json = asksForJson(args);
  let limit = signal;
  try {
    const reading = readCommandLine(args, readingOptions(terminal, args));
    if (reading.type === "text") {
      terminal.stdout.write(reading.text);
      return 0;
    }
    const { line } = reading;
    json = line.output === "json";
    if (line.noColor) terminal = withoutColor(terminal);
    limit = withTimeout(signal, line.timeout);
    const context = { options: line, env, terminal, clock: systemClock, signal: limit };
    const work = () => orGiveUp(runCommand(line, context), context.signal);
    return await audited(work, { line, args, context });
  } catch (error) {
    return reportFailure(causeOf(error, limit), { terminal, json });
  }
}

/** Reports an error that nobody waited for. @returns the exit status. */
export function reportStray(error: unknown, env: Invocation["env"]): number {
  return reportFailure(error, { terminal: openTerminal(env), json: false });
}

function readingOptions(terminal: Terminal, args: readonly string[]) {
  const width = terminal.stdout.columns();
  const color = terminal.stdout.color && !args.includes("--no-color");
  return { color, ...(width !== undefined && { width }) };
}

/** For errors before the command line was understood. */
function asksForJson(args: readonly string[]): boolean {
  return args.some((arg, index) =>
    arg === "--output=json" || (arg === "--output" && args[index + 1] === "json")
  );
}

function withTimeout(signal: AbortSignal, timeout: number | undefined): AbortSignal {
  if (timeout === undefined) return signal;
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(
      new RunFailedError(
        `gave up after ${formatSeconds(timeout / 1000)}, the time that --timeout allows`,
        "nothing incomplete counts as done; run the command again with more time",
      ),
    );
  }, timeout);
  Deno.unrefTimer(timer);
  return AbortSignal.any([signal, controller.signal]);
}

/** Milliseconds that cleaning up may take after --timeout, and after a signal. */
const GRACE_AFTER_TIMEOUT = 4_000;
const GRACE_AFTER_SIGNAL = 30_000;

/** The command's status; after an abort, its reason when the command does not come to an end. */
async function orGiveUp(command: Promise<number>, signal: AbortSignal): Promise<number> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const onAbort = () => {
    const interrupted = signal.reason instanceof InterruptedError;
    const grace = interrupted ? GRACE_AFTER_SIGNAL : GRACE_AFTER_TIMEOUT;
    timer = setTimeout(() => reject(signal.reason), grace);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([command, late]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    clearTimeout(timer);
  }
}

/** What ended the run: whatever is thrown after an abort is its consequence, or says more of it. */
function causeOf(error: unknown, signal: AbortSignal): unknown {
  if (!signal.aborted) return error;
  const { reason } = signal;
  if (error instanceof BackupctlError && error.cause === reason) return error;
  return reason instanceof InterruptedError || reason instanceof RunFailedError ? reason : error;
}

/** Loads one command and no other. */
async function runCommand(line: CommandLine, context: Context): Promise<number> {
  switch (line.command) {
    case "version":
      return await run((await import("./commands/version.ts")).version, { line, context });
    case "explain":
      return await run((await import("./commands/explain.ts")).explain, { line, context });
    case "config init":
      return await run((await import("./commands/config_init.ts")).configInit, { line, context });
    case "config show":
      return await run((await import("./commands/config_show.ts")).configShow, { line, context });
    case "config check":
      return await run((await import("./commands/config_check.ts")).configCheck, { line, context });
    case "backup full":
    case "backup incremental":
      return await run((await import("./commands/backup_full.ts")).backupFull, { line, context });
    case "restore":
      return await run((await import("./commands/restore.ts")).restore, { line, context });
    case "status":
      return await run((await import("./commands/status.ts")).status, { line, context });
    case "test":
      return await run((await import("./commands/test.ts")).test, { line, context });
    case "wal-push":
    case "wal-fetch":
      // main.ts has sent these the short way: only their help pages are asked for here.
      throw new TypeError(`${line.command} came the long way`);
    case "wal status":
      return await run((await import("./commands/wal_status.ts")).walStatus, { line, context });
    case "key generate":
      return await run((await import("./commands/key_generate.ts")).keyGenerate, { line, context });
    case "key check":
      return await run((await import("./commands/key_check.ts")).keyCheck, { line, context });
    case "key rekey":
      return await run((await import("./commands/key_rekey.ts")).keyRekey, { line, context });
    case "key sign":
      return await run((await import("./commands/key_sign.ts")).keySign, { line, context });
    case "wal verify":
      return await run((await import("./commands/wal_verify.ts")).walVerify, { line, context });
    case "prune":
      return await run((await import("./commands/prune.ts")).prune, { line, context });
    case "delete":
      return await run((await import("./commands/delete_backup.ts")).deleteBackup, {
        line,
        context,
      });
    case "keep":
      return await run((await import("./commands/keep.ts")).keep, { line, context });
    case "annotate":
      return await run((await import("./commands/annotate.ts")).annotate, { line, context });
    case "schedule":
      return await run((await import("./commands/schedule.ts")).schedule, { line, context });
    case "verify":
      return await run((await import("./commands/verify.ts")).verify, { line, context });
    case "drill":
      return await run((await import("./commands/drill.ts")).drill, { line, context });
    case "alert test":
      return await run((await import("./commands/alert_test.ts")).alertTest, { line, context });
    case "catalog rebuild":
      return await run((await import("./commands/catalog_rebuild.ts")).catalogRebuild, {
        line,
        context,
      });
    case "catalog export":
      return await run((await import("./commands/catalog_export.ts")).catalogExport, {
        line,
        context,
      });
    case "repo ls":
      return await run((await import("./commands/repo_ls.ts")).repoLs, { line, context });
    case "repo cat":
      return await run((await import("./commands/repo_cat.ts")).repoCat, { line, context });
  }
}

function run<Line>(
  command: Command<Line>,
  { line, context }: { readonly line: Line; readonly context: Context },
): Promise<number> {
  return command(line, context);
}
