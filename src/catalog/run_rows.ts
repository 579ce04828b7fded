/** Runs as rows of the index. */
import type { RunOutcome, RunRecord } from "./run_record.ts";

/** A column of `runs`, and how it is read as text. */
export interface RunColumn {
  readonly name: string;
  readonly select: string;
}

/** The columns of `runs` in the order of {@link runValues}. */
export const RUN_COLUMNS: readonly RunColumn[] = [
  column("run_id"),
  column("cluster"),
  column("operation"),
  column("outcome"),
  time("started_at"),
  time("finished_at"),
  column("duration_seconds"),
  column("backup_id"),
  column("raw_bytes"),
  column("stored_bytes"),
  column("error_code"),
  column("error_message"),
  column("error_hint"),
  column("host"),
  column("tool_version"),
];

function column(name: string): RunColumn {
  return { name, select: `${name}::text AS ${name}` };
}

function time(name: string): RunColumn {
  const format = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;
  return {
    name,
    select: `to_char(${name} AT TIME ZONE 'UTC', ${format}) AS ${name}`,
  };
}

/** The values of a run, as text, in the order of {@link RUN_COLUMNS}. */
export function runValues(run: RunRecord): (string | null)[] {
  const values = [
    run.runId,
    run.cluster,
    run.operation,
    run.outcome,
    run.startedAt,
    run.finishedAt,
    run.durationSeconds,
    run.backupId,
    run.rawBytes,
    run.storedBytes,
    run.error?.code ?? null,
    run.error?.message ?? null,
    run.error?.hint ?? null,
    run.host,
    run.toolVersion,
  ];
  return values.map((value) => value === null ? null : String(value));
}

/** Reads a row selected with {@link RUN_COLUMNS}. */
export function readRun(row: Record<string, unknown>): RunRecord {
  const text = (name: string) => row[name] === null ? null : String(row[name]);
  const number = (name: string) => row[name] === null ? null : Number(row[name]);
  const code = text("error_code");
  return {
    runId: String(row["run_id"]),
    cluster: String(row["cluster"]),
    operation: String(row["operation"]),
    outcome: String(row["outcome"]) as RunOutcome,
    startedAt: String(row["started_at"]),
    finishedAt: String(row["finished_at"]),
    durationSeconds: Number(row["duration_seconds"]),
    backupId: text("backup_id"),
    rawBytes: number("raw_bytes"),
    storedBytes: number("stored_bytes"),
    error: code === null
      ? null
      : { code, message: text("error_message") ?? "", hint: text("error_hint") },
    host: text("host"),
    toolVersion: String(row["tool_version"]),
  };
}
