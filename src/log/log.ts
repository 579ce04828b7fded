/**
 * The face of the log: one line for each event, as JSON or as text. A log that cannot be written
 * never breaks a run.
 *
 * @module
 */
import type { Sink } from "@logtape/logtape";
import { formatRecord, type LogRecord } from "./format_record.ts";
import { toldReason } from "./told_reason.ts";

export type { LogRecord } from "./format_record.ts";

/** Severities, least first. */
export const LOG_LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR"] as const;
/** How much an event matters. */
export type LogLevel = typeof LOG_LEVELS[number];

/** What runs for a while: the first word of its events. */
export type LoggedTask = "backup" | "restore" | "verify" | "drill" | "prune";

/** Stable names of what happens; messages may change, these do not. */
export type LogEvent =
  | `${LoggedTask}.${"started" | "progress" | "note" | "finished" | "failed"}`
  | `schedule.${"fired" | "finished" | "failed" | "skipped" | "leader" | "trouble"}`
  | `daemon.${"started" | "reloaded" | "reload_refused" | "stopping" | "stopped" | "trouble"}`
  | `alert.${"sent" | "not_delivered" | "not_kept"}`
  | "catalog.not_recorded"
  | "storage.delete_refused"
  | "storage.request_retried"
  | "log.file_failed"
  | "process.interrupted";

/** Why something failed, as the error itself says it. */
export interface LogError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** What readers of the log filter by. Sizes in bytes, durations in seconds. */
export interface LogFields {
  readonly backup_id?: string;
  readonly cluster?: string;
  readonly size_bytes?: number;
  readonly duration_seconds?: number;
  readonly error?: LogError;
  readonly [name: string]: unknown;
}

/** Where events are told. No call throws or blocks. */
export interface Log extends AsyncDisposable {
  debug(event: LogEvent, message: string, fields?: LogFields): void;
  info(event: LogEvent, message: string, fields?: LogFields): void;
  warning(event: LogEvent, message: string, fields?: LogFields): void;
  error(event: LogEvent, message: string, fields?: LogFields): void;
}

/** How {@link openLog} writes. */
export interface LogOptions {
  /** The least severity of the console. */
  readonly level: LogLevel;
  readonly format: "json" | "text";
  /** Colour the severity of text lines. @default {false} */
  readonly color?: boolean;
  /** Events that the console leaves to somebody else to tell; the file has them. */
  readonly toldElsewhere?: readonly LogEvent[];
  /** Receives whole lines, each with its line feed; standard error. */
  readonly write: (line: string) => void;
  /** JSON lines go here too: 10 MiB a file, five of them, mode 0600. */
  readonly file?: string;
  /** The least severity of the file. @default {"INFO"} */
  readonly fileLevel?: LogLevel;
  /** Bytes of a log file before it is renamed to `.1`. @default {10485760} */
  readonly fileBytes?: number;
  /** The time of an event: now. */
  readonly now: () => Date;
}

/** For callers who do not want a log. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warning: () => {},
  error: () => {},
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

/**
 * Opens the log of this process; a second call replaces the first. The logging library is loaded
 * here and not before.
 */
export async function openLog(options: LogOptions): Promise<Log> {
  const { configure, dispose, getLogger } = await import("@logtape/logtape");
  const line = (record: LogRecord, format: "json" | "text", color = false) =>
    formatRecord(record, { format, color, time: options.now() });
  const elsewhere: readonly unknown[] = options.toldElsewhere ?? [];
  const sinks: Record<string, Sink> = {
    console: guarded(options.level, (record) => {
      if (elsewhere.includes(record.properties["event"])) return;
      options.write(line(record, options.format, options.color));
    }),
  };
  if (options.file !== undefined) {
    const fileLine = (record: LogRecord) => line(record, "json");
    const sink = await fileSink(options.file, { fileLine, maxSize: options.fileBytes });
    sinks["file"] = guarded(options.fileLevel ?? "INFO", sink, (error) => {
      const reason = toldReason(error);
      log.warning("log.file_failed", `the log file ${options.file} cannot be written: ${reason}`);
    });
  }
  await configure({
    reset: true,
    sinks,
    loggers: [
      { category: ["backupctl"], sinks: Object.keys(sinks), lowestLevel: "debug" },
      { category: ["logtape", "meta"], sinks: [], lowestLevel: "error" },
    ],
  });
  const logger = getLogger(["backupctl"]);
  const log: Log = {
    debug: (event, message, fields) => logger.debug("{message}", { ...fields, event, message }),
    info: (event, message, fields) => logger.info("{message}", { ...fields, event, message }),
    warning: (event, message, fields) => logger.warning("{message}", { ...fields, event, message }),
    error: (event, message, fields) => logger.error("{message}", { ...fields, event, message }),
    [Symbol.asyncDispose]: async () => await dispose().catch(() => {}),
  };
  return log;
}

/** A sink that drops what is below `level`, swallows its failures and tells of the first one. */
function guarded(
  level: LogLevel,
  sink: Sink & Partial<Disposable>,
  onFailure?: (error: unknown) => void,
): Sink & Disposable {
  let failed = false;
  const guard: Sink = (record) => {
    if (severity(record.level) < LOG_LEVELS.indexOf(level)) return;
    try {
      sink(record);
    } catch (error) {
      if (failed) return;
      failed = true;
      onFailure?.(error);
    }
  };
  return Object.assign(guard, {
    [Symbol.dispose]: () => {
      try {
        sink[Symbol.dispose]?.();
      } catch {
        // The disk is full or the folder is gone: there is nobody left to tell.
      }
    },
  });
}

function severity(level: string): number {
  return LOG_LEVELS.findIndex((name) => name.toLowerCase() === level);
}

/** The rotating file; one that throws at each record when it cannot be opened. */
async function fileSink(
  path: string,
  { fileLine, maxSize = 10 * 1024 * 1024 }: {
    readonly fileLine: (record: LogRecord) => string;
    readonly maxSize?: number | undefined;
  },
): Promise<Sink & Partial<Disposable>> {
  const { getRotatingFileSink } = await import("@logtape/file");
  try {
    // Created here, since the sink would leave the mode to the umask.
    await Deno.open(path, { append: true, create: true, mode: 0o600 }).then((file) => file.close());
    return getRotatingFileSink(path, { formatter: fileLine, bufferSize: 0, maxFiles: 5, maxSize });
  } catch (error) {
    return () => {
      throw error;
    };
  }
}
