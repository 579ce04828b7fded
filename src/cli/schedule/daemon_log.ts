import type { LoadedConfig } from "../../config/config.ts";
import { formatSeconds } from "../../domain/bytes.ts";
import { BackupctlError } from "../../domain/errors.ts";
import type { Log, LogFields } from "../../log/log.ts";
import { openLog } from "../../log/log.ts";
import type { RunState, ScheduleEvent } from "../../service/service.ts";
import type { Context } from "../context.ts";

/** Milliseconds in which the same trouble is not told again. */
const REPEAT = 600_000;

/** The daemon's log: all of it is told, on a terminal too, since it has no other voice. */
export async function openDaemonLog(
  context: Context,
  { config }: LoadedConfig,
): Promise<{ readonly log: Log; readonly format: "text" | "json" }> {
  const { options, terminal: { stderr } } = context;
  const { level, format: wanted, file } = config.log;
  const format = wanted !== "auto" ? wanted : stderr.isTerminal ? "text" : "json";
  const log = await openLog({
    level: options.verbose ? "DEBUG" : options.quiet ? "WARNING" : level,
    format,
    color: stderr.color,
    now: () => context.clock.now(),
    write: (line) => stderr.write(line),
    ...(file !== undefined && { file }),
    fileLevel: options.verbose ? "DEBUG" : level,
  });
  return { log, format };
}

/** Makes log lines of what the scheduler tells. */
export class DaemonReporter {
  readonly #log: Log;
  readonly #context: Context;
  readonly #cluster: string;
  readonly #told = new Map<string, number>();

  constructor(log: Log, { context, cluster }: {
    readonly context: Context;
    readonly cluster: string;
  }) {
    this.#log = log;
    this.#context = context;
    this.#cluster = cluster;
  }

  /** One event of the scheduler. */
  schedule(event: ScheduleEvent): void {
    const log = this.#log;
    if (event.type === "trouble") return this.trouble("schedule.trouble", event.error);
    if (event.type === "leader") {
      const text = event.leads
        ? "this daemon runs the schedule"
        : `the schedule is run by ${event.holder ?? "another daemon"}`;
      return log.info("schedule.leader", text, this.#fields({ holder: event.holder }));
    }
    if (event.type === "skipped") {
      const text = `${event.name}, due ${event.due.toISOString()}, was skipped: ${event.reason}`;
      return log.warning("schedule.skipped", text, this.#fields({ entry: event.name }));
    }
    if (event.type === "finished") return this.#finished(event.name, event.run);
    const { entry: { name, run }, due, late, attempt } = event.start;
    const why = attempt > 1
      ? `, attempt ${attempt}: it was cut off`
      : late
      ? `, missed at ${due.toISOString()}`
      : "";
    const fields = { entry: name, command: run, due: due.toISOString(), late, attempt };
    log.info("schedule.fired", `${name} begins: ${run}${why}`, this.#fields(fields));
  }

  /** What went wrong without ending the daemon; the same only now and then. */
  trouble(event: "schedule.trouble" | "daemon.trouble", error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const now = this.#context.clock.monotonic();
    const last = this.#told.get(message);
    if (last !== undefined && now - last < REPEAT) return;
    if (this.#told.size > 100) this.#told.clear();
    this.#told.set(message, now);
    const known = error instanceof BackupctlError;
    const code = known ? error.code : "BUG";
    const hint = known ? error.hint : error instanceof Error ? error.stack : undefined;
    const detail = { code, message, ...(hint !== undefined && { hint }) };
    this.#log.error(event, message, this.#fields({ error: detail }));
  }

  #finished(name: string, run: RunState): void {
    const { startedAt, finishedAt, outcome, exitStatus, message } = run;
    const seconds = (Date.parse(finishedAt ?? startedAt) - Date.parse(startedAt)) / 1000;
    const fields = this.#fields({
      ...{ entry: name, outcome, duration_seconds: seconds },
      ...(exitStatus !== undefined && { exit_status: exitStatus }),
    });
    if (outcome === "succeeded") {
      this.#log.info("schedule.finished", `${name} ended after ${formatSeconds(seconds)}`, fields);
      return;
    }
    if (outcome === "interrupted") {
      const text = `${name} was cut off; the next daemon begins it again`;
      this.#log.warning("schedule.failed", text, fields);
      return;
    }
    const status = exitStatus === undefined ? outcome : `exit status ${exitStatus}`;
    const why = message === undefined ? status : `${message} (${status})`;
    this.#log.error("schedule.failed", `${name} failed: ${why}`, fields);
  }

  #fields(fields: LogFields): LogFields {
    return { cluster: this.#cluster, ...fields };
  }
}
