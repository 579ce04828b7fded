import { BackupctlError, InterruptedError, RunFailedError } from "../../domain/errors.ts";
import { formatBytes, formatSeconds } from "../../domain/bytes.ts";
import { pause } from "../../domain/pause.ts";
import { escapeControl } from "../../log/format_record.ts";
import { formatAge } from "../age.ts";
import { formatTime } from "../backup_document.ts";
import type { Context } from "../context.ts";
import type { StatusFound } from "./collect_status.ts";
import { storedBytes } from "./status_document.ts";

/** Milliseconds between two looks, at least: a repository that is slow to list is asked less often. */
const INTERVAL_MS = 5000;
const SHARE_OF_TIME = 4;
/** Home, and clear what is below. */
const CLEAR = "\x1b[H\x1b[2J";

/** What to look at, and how it is shown. */
export interface Watch {
  readonly collect: () => Promise<StatusFound>;
  /** For a terminal. */
  readonly text: (found: StatusFound) => string;
  /** For `--output json`: one document a line. */
  readonly json: (found: StatusFound) => unknown;
  /** Milliseconds between two looks, at least. @default {5000} */
  readonly intervalMs?: number;
}

/**
 * Looks again and again until it is interrupted, or --timeout ends it, which both are its proper end.
 * A failure of the first look is thrown; a later one is shown, and the next look follows.
 */
export async function watchStatus(watch: Watch, context: Context): Promise<number> {
  for (let looks = 0;; looks++) {
    const begun = context.clock.monotonic();
    try {
      show(await watch.collect(), { watch, context });
    } catch (error) {
      if (isEnd(context)) return 0;
      if (looks === 0 || !(error instanceof BackupctlError)) throw error;
      context.terminal.stderr.write(`error: ${escapeControl(error.message)}\n`);
    }
    const took = context.clock.monotonic() - begun;
    try {
      await pause(Math.max(watch.intervalMs ?? INTERVAL_MS, took * SHARE_OF_TIME), context.signal);
    } catch (error) {
      if (isEnd(context)) return 0;
      throw error;
    }
    if (context.terminal.stdout.closed) return 0;
  }
}

/** SIGTERM and the like end it as they end everything. */
function isEnd({ signal }: Context): boolean {
  if (!signal.aborted) return false;
  const { reason } = signal;
  return (reason instanceof InterruptedError && reason.signal === "SIGINT") ||
    reason instanceof RunFailedError;
}

function show(
  found: StatusFound,
  { watch, context: { options, terminal } }: { readonly watch: Watch; readonly context: Context },
): void {
  const { stdout } = terminal;
  if (options.output === "json") return stdout.write(`${JSON.stringify(watch.json(found))}\n`);
  if (!stdout.isTerminal) return stdout.write(`${statusLine(found)}\n`);
  const asked = formatTime(found.now.toISOString());
  stdout.write(`${CLEAR}${watch.text(found)}\n${asked}; Ctrl-C ends\n`);
}

/** Everything that matters in one line, for logs and pipes. */
export function statusLine(found: StatusFound): string {
  const { now, cluster, backups, archive, unfinished } = found;
  const newest = backups.at(-1);
  const age = newest && formatAge(now.getTime() - Date.parse(newest.stoppedAt));
  const windows = archive?.report.windows;
  const window = windows?.findLast(({ open }) => open) ?? windows?.at(-1);
  const behind = window?.lagSeconds === undefined
    ? ""
    : ` (${formatSeconds(window.lagSeconds)} behind)`;
  const parts = [
    counted(backups.length, "backup"),
    ...(newest ? [`newest ${newest.id} ${age} old`] : []),
    ...(window?.to ? [`restorable to ${formatTime(window.to.toISOString())}${behind}`] : []),
    ...(archive && archive.report.gaps.length > 0
      ? [counted(archive.report.gaps.length, "gap")]
      : []),
    ...(unfinished.length > 0 ? [`${unfinished.length} unfinished`] : []),
    `${formatBytes(storedBytes(found))} stored`,
  ];
  return `${now.toISOString()} ${cluster}: ${parts.join(", ")}`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
