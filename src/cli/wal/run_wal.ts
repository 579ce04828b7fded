/**
 * `wal-push`, `wal-fetch` and the archiver's `backup incremental`: the short way through the command line, which PostgreSQL goes for every
 * segment. Nothing is loaded here that it does not need.
 *
 * @module
 */
import { systemClock } from "../../domain/clock.ts";
import { exitStatus } from "../../domain/errors.ts";
import { callerIn } from "./archiver_caller.ts";
import {
  deadlineOf,
  limited,
  logWords,
  parseBacklogArguments,
  parseWalArguments,
  settingFlags,
  settingsOf,
  type WalInvocation,
} from "./wal_arguments.ts";
import { fetchFailure, runFetch } from "./run_fetch.ts";
import { WalLog } from "./wal_log.ts";

export type { WalInvocation } from "./wal_arguments.ts";

/**
 * Runs one command. Never throws.
 *
 * @returns the exit status; undefined when the words mean a command of the long way.
 */
export async function runWal(invocation: WalInvocation): Promise<number | undefined> {
  const log = new WalLog({ ...logWords(invocation.args), now: systemClock.now });
  if (invocation.command === "backlog") return await backlog(invocation, log);
  if (invocation.command === "wal-push") {
    exitOnStray((error) => pushFailure(error, log));
    return await push(invocation, log);
  }
  // Before anything can fail: the status of a stray error would tell PostgreSQL "absent".
  exitOnStray((error) => fetchFailure(error, { log, args: invocation.args }));
  return await runFetch(invocation, log);
}

async function backlog(
  { args, env, signal }: WalInvocation,
  log: WalLog,
): Promise<number | undefined> {
  const caller = callerIn(".", Deno.ppid);
  if (caller === "somebody") return undefined;
  exitOnStray((error) => pushFailure(error, log));
  try {
    const parsed = parseBacklogArguments(args);
    const settings = await settingsOf(parsed, env);
    log.configure(settings);
    const { walBacklog } = await import("./wal_backlog_command.ts");
    // A long backlog takes its time; what bounds it is the time of each request.
    await walBacklog({ settings, env, log, signal, deadlineMs: settings.timeout }, caller);
    return 0;
  } catch (error) {
    return pushFailure(error, log);
  }
}

async function push({ args, env, signal }: WalInvocation, log: WalLog): Promise<number> {
  try {
    const parsed = parseWalArguments(args);
    const settings = await settingsOf(parsed, env);
    log.configure(settings);
    const deadlineMs = deadlineOf(parsed, settings.timeout);
    const session = { settings, env, log, signal, deadlineMs };
    if (parsed.values.ahead) {
      const { runLookAhead } = await import("./look_ahead.ts");
      await runLookAhead(session, parsed);
      return 0;
    }
    const { walPush } = await import("./wal_push_command.ts");
    await walPush({
      ...{ ...session, positionals: parsed.positionals, flags: settingFlags(parsed) },
      signal: limited(signal, deadlineMs),
      takeOver: parsed.values["new-system"],
    });
    return 0;
  } catch (error) {
    return pushFailure(error, log);
  }
}

function pushFailure(error: unknown, log: WalLog): number {
  log.failure("wal.push_failed", error);
  return countedStatus(error);
}

/** Errors that nobody awaited are bugs; they must not end the process with a status of their own. */
function exitOnStray(statusOf: (error: unknown) => number): void {
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    Deno.exit(statusOf(event.reason));
  });
  addEventListener("error", (event) => {
    event.preventDefault();
    Deno.exit(statusOf(event.error));
  });
}

/** PostgreSQL does not count what is above 125 as a failure of archiving. */
function countedStatus(error: unknown): number {
  const status = exitStatus(error);
  return status > 125 ? 1 : status;
}
