import { BackupctlError } from "../../domain/errors.ts";
import { formatRecord } from "../../log/format_record.ts";
import type { WalSettings } from "./wal_settings.ts";

/** Events of the WAL path; names are stable. */
export type WalEvent =
  | "wal.pushed"
  | "wal.pushed_ahead"
  | "wal.already_archived"
  | "wal.push_failed"
  | "wal.fetched"
  | "wal.missing"
  | "wal.fetch_failed"
  | "wal.repository_created"
  | "storage.request_retried"
  | "storage.conditions_ignored";

type Severity = "debug" | "info" | "warning" | "error";
const SEVERITIES: readonly Severity[] = ["debug", "info", "warning", "error"];

/** What the command line says about the log. */
export interface WalLogOptions {
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly format: string | undefined;
  readonly now: () => Date;
}

/**
 * The log of the WAL path, without a logging library: lines on standard error, which PostgreSQL
 * takes into its own log, and in the log file when there is one.
 */
export class WalLog {
  readonly #options: WalLogOptions;
  #least: Severity;
  #format: "json" | "text";
  #file: string | undefined;
  #cluster: string | undefined;

  constructor(options: WalLogOptions) {
    const { quiet, verbose, format } = options;
    this.#options = options;
    this.#least = quiet ? "error" : verbose ? "debug" : "info";
    this.#format = format === "json" || format === "text" ? format : automatic();
  }

  /** What the configuration says; the command line wins. */
  configure({ log, cluster }: WalSettings): void {
    const { quiet, verbose, format } = this.#options;
    if (!quiet && !verbose) this.#least = log.level.toLowerCase() as Severity;
    if (format === undefined && log.format !== "auto") this.#format = log.format;
    this.#file = log.file;
    this.#cluster = cluster;
  }

  write(
    level: Severity,
    event: WalEvent,
    { message, ...fields }: { readonly message: string; readonly [field: string]: unknown },
  ): void {
    const properties = { event, message, cluster: this.#cluster, ...fields };
    const record = { level, properties };
    const line = (format: "json" | "text") =>
      new TextEncoder().encode(
        formatRecord(record, { format, color: false, time: this.#options.now() }),
      );
    if (rank(level) >= rank(this.#least)) attempt(() => Deno.stderr.writeSync(line(this.#format)));
    if (this.#file !== undefined && rank(level) >= rank("info")) {
      attempt(() => append(this.#file!, line("json")));
    }
  }

  /** A failure: as an event where machines read, as `error:` and `hint:` where people do. */
  failure(event: WalEvent, error: unknown): void {
    const known = error instanceof BackupctlError;
    const message = error instanceof Error
      ? (known ? error.message : error.stack ?? "")
      : `${error}`;
    const hint = known ? error.hint : "this is a bug in backupctl: please report it";
    if (this.#format === "text") {
      const text = [`error: ${message}`, ...(hint === undefined ? [] : [`hint: ${hint}`]), ""];
      attempt(() => Deno.stderr.writeSync(new TextEncoder().encode(text.join("\n"))));
      return;
    }
    const code = known ? error.code : "BUG";
    this.write("error", event, { message, error: { code, message, ...(hint && { hint }) } });
  }
}

function rank(severity: Severity): number {
  return SEVERITIES.indexOf(severity);
}

function automatic(): "json" | "text" {
  return Deno.stderr.isTerminal() ? "text" : "json";
}

function append(path: string, line: Uint8Array): void {
  using file = Deno.openSync(path, { append: true, create: true, mode: 0o600 });
  file.writeSync(line);
}

/** A log that cannot be written never breaks a run. */
function attempt(step: () => unknown): void {
  try {
    step();
  } catch {
    // Nobody reads, or the disk is full.
  }
}
