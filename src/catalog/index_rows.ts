/** Backups as rows of the index. */
import type { BackupManifest } from "./manifest.ts";

/** A backup as the index holds it. Numbers of the database that may pass 2^53 do not occur. */
export interface IndexedBackup {
  /** backup.json without its objects. */
  readonly manifest: Omit<BackupManifest, "objects">;
  /** How many objects it has. */
  readonly objects: number;
  /** The row's other columns, as PostgreSQL writes them. */
  readonly columns: Readonly<Record<string, unknown>>;
}

/** The columns of `backups` and their types. */
export const UPSERT_COLUMNS = [
  { name: "cluster", type: "text" },
  { name: "system_identifier", type: "text" },
  { name: "id", type: "text" },
  { name: "method", type: "text" },
  { name: "kind", type: "text" },
  { name: "parent_id", type: "text" },
  { name: "label", type: "text" },
  { name: "started_at", type: "timestamptz" },
  { name: "stopped_at", type: "timestamptz" },
  { name: "timeline", type: "bigint" },
  { name: "start_lsn", type: "pg_lsn" },
  { name: "stop_lsn", type: "pg_lsn" },
  { name: "postgres_version", type: "integer" },
  { name: "objects", type: "bigint" },
  { name: "raw_bytes", type: "bigint" },
  { name: "stored_bytes", type: "bigint" },
  { name: "host", type: "text" },
  { name: "tool_version", type: "text" },
  { name: "manifest", type: "jsonb" },
] as const;

/** Rows as a JSON array. */
export function backupRows(manifests: readonly BackupManifest[]): string {
  return JSON.stringify(manifests.map(toRow));
}

function toRow(manifest: BackupManifest): Record<(typeof UPSERT_COLUMNS)[number]["name"], unknown> {
  const { objects, ...rest } = manifest;
  return {
    cluster: manifest.cluster,
    system_identifier: manifest.systemIdentifier,
    id: manifest.id,
    method: manifest.method,
    kind: manifest.kind,
    parent_id: manifest.parentId,
    label: manifest.label,
    started_at: manifest.startedAt,
    stopped_at: manifest.stoppedAt,
    timeline: manifest.timeline,
    start_lsn: manifest.startLsn,
    stop_lsn: manifest.stopLsn,
    postgres_version: manifest.postgresVersion,
    objects: objects.length,
    raw_bytes: manifest.rawBytes,
    stored_bytes: manifest.storedBytes,
    host: manifest.host,
    tool_version: manifest.tool.version,
    manifest: rest,
  };
}

/** Reads a row that was selected as `to_jsonb(…)::text AS row`. */
export function readIndexedBackup(row: Record<string, unknown>): IndexedBackup {
  const { manifest, objects, ...columns } = JSON.parse(String(row["row"]));
  return { manifest, objects, columns };
}
