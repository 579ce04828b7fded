/** Audit events and storage samples as rows of the index. */
import type { AuditEvent, AuditOutcome } from "./audit_event.ts";
import type { IndexRow } from "./index_session.ts";
import { quoteLiteral } from "./sql_quote.ts";
import type { StorageSample } from "./storage_sample.ts";

const TIME = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;

/** How a point in time is read as RFC 3339 text. */
export function timeText(column: string): string {
  return `to_char(${column} AT TIME ZONE 'UTC', ${TIME})`;
}

/** The columns of `audit`, the values of an event in their order, and how they are read. */
export const AUDIT_COLUMNS = [
  "event_id",
  "cluster",
  "at",
  "operation",
  "command",
  "outcome",
  "exit_status",
  "error_code",
  "os_user",
  "pg_role",
  "host",
  "tool_version",
] as const;

/** `VALUES (…)` of an event. */
export function auditValues(event: AuditEvent): string {
  const values = [
    event.eventId,
    event.cluster,
    event.at,
    event.operation,
    event.command,
    event.outcome,
    event.exitStatus,
    event.errorCode,
    event.osUser,
    event.pgRole,
    event.host,
    event.toolVersion,
  ];
  const literals = values.map((value) => value === null ? "NULL" : quoteLiteral(String(value)));
  return `VALUES (${literals.join(", ")})`;
}

/** Selects what {@link readAudit} reads. */
export const AUDIT_SELECT = AUDIT_COLUMNS
  .map((name) => name === "at" ? `${timeText("at")} AS at` : `${name}::text AS ${name}`)
  .join(", ");

/** Reads a row selected with {@link AUDIT_SELECT}. */
export function readAudit(row: IndexRow): AuditEvent {
  const text = (name: string) => row[name] === null ? null : String(row[name]);
  return {
    eventId: String(row["event_id"]),
    cluster: String(row["cluster"]),
    at: String(row["at"]),
    operation: String(row["operation"]),
    command: String(row["command"]),
    outcome: String(row["outcome"]) as AuditOutcome,
    exitStatus: Number(row["exit_status"]),
    errorCode: text("error_code"),
    osUser: text("os_user"),
    pgRole: text("pg_role"),
    host: text("host"),
    toolVersion: String(row["tool_version"]),
  };
}

/** `VALUES (…), (…)` of a sample: one row for each kind. */
export function storageValues({ cluster, at, uses }: StorageSample): string {
  const rows = uses.map(({ kind, count, rawBytes, storedBytes }) => {
    const texts = [quoteLiteral(cluster), quoteLiteral(at), quoteLiteral(kind)];
    return `(${[...texts, count, rawBytes ?? "NULL", storedBytes].join(", ")})`;
  });
  return `VALUES ${rows.join(", ")}`;
}

/** Puts rows of `at, kind, count, raw_bytes, stored_bytes`, by time, together to samples. */
export function readStorage(rows: readonly IndexRow[], cluster: string): readonly StorageSample[] {
  const byTime = Map.groupBy(rows, (row) => String(row["at"]));
  return [...byTime].map(([at, uses]) => ({
    ...{ cluster, at },
    uses: uses.map((row) => ({
      kind: String(row["kind"]),
      count: Number(row["count"]),
      rawBytes: row["raw_bytes"] === null ? null : Number(row["raw_bytes"]),
      storedBytes: Number(row["stored_bytes"]),
    })),
  }));
}
