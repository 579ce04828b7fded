import { exitStatus } from "../../domain/errors.ts";
import {
  deadlineOf,
  limited,
  parseWalArguments,
  settingFlags,
  settingsOf,
  type WalInvocation,
} from "./wal_arguments.ts";
import type { WalLog } from "./wal_log.ts";

/** Proved absent: PostgreSQL goes on without it. */
const ABSENT = 1;
/** Cannot tell: PostgreSQL stops instead of opening early with data missing. */
const STOP = 255;
const FETCH_TIMEOUT_MS = 300_000;

/**
 * Runs wal-fetch. Never throws. Only what the store itself says to be absent ends with 1, since that
 * ends recovery; any other failure stops the server, or, under standby.signal, is tried again.
 */
export async function runFetch(
  { args, env, signal }: WalInvocation,
  log: WalLog,
): Promise<number> {
  try {
    const parsed = parseWalArguments(args);
    const settings = await settingsOf(parsed, env);
    log.configure(settings);
    const deadlineMs = deadlineOf(parsed, FETCH_TIMEOUT_MS);
    const session = { settings, env, log, signal, deadlineMs };
    if (parsed.values.ahead) {
      const { runFetchAhead } = await import("./run_fetch_ahead.ts");
      await runFetchAhead(session, parsed);
      return 0;
    }
    const { walFetch } = await import("./wal_fetch_command.ts");
    const found = await walFetch({
      ...{ ...session, positionals: parsed.positionals, flags: settingFlags(parsed) },
      signal: limited(signal, deadlineMs),
    });
    return found ? 0 : ABSENT;
  } catch (error) {
    return fetchFailure(error, { log, args });
  }
}

/** Tells of a failure. @returns the exit status for PostgreSQL. */
export function fetchFailure(
  error: unknown,
  { log, args }: { readonly log: WalLog; readonly args: readonly string[] },
): number {
  log.failure("wal.fetch_failed", error);
  const folders = [".", ...args.filter((arg) => arg.startsWith("/")).map(dataDirectoryOf)];
  // A standby asks again by itself; 255 would take it down.
  if (folders.some((folder) => exists(`${folder}/standby.signal`))) return ABSENT;
  if (folders.some((folder) => exists(`${folder}/recovery.signal`))) return STOP;
  const status = exitStatus(error);
  return status === ABSENT ? STOP : status;
}

function dataDirectoryOf(path: string): string {
  return path.replace(/\/+[^/]*\/+[^/]*$/, "");
}

/** Whatever cannot be looked up counts as absent. */
function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
