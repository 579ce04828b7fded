import type { BackupManifest } from "../catalog/catalog.ts";

/** A backup as JSON documents show it; fields are only ever added. */
export interface BackupDocument {
  readonly id: string;
  readonly method: string;
  readonly kind: string;
  readonly label: string | null;
  readonly parent_id: string | null;
  readonly state: "ok";
  readonly started_at: string;
  readonly stopped_at: string;
  readonly start_lsn: string | null;
  readonly stop_lsn: string | null;
  readonly timeline: number | null;
  readonly size_bytes: number;
  readonly stored_bytes: number;
  readonly duration_seconds: number;
  /** Null: this version does not check pages. */
  readonly page_checksum_errors: number | null;
  readonly verified_at: string | null;
  readonly drilled_at: string | null;
  readonly keep_until: string | null;
  readonly system_identifier: string;
  readonly postgres_version: number;
  readonly databases: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
}

/** What JSON documents say of a backup. */
export function backupDocument(manifest: BackupManifest): BackupDocument {
  return {
    id: manifest.id,
    method: manifest.method,
    kind: manifest.kind,
    label: manifest.label,
    parent_id: manifest.parentId,
    state: "ok",
    started_at: manifest.startedAt,
    stopped_at: manifest.stoppedAt,
    start_lsn: manifest.startLsn,
    stop_lsn: manifest.stopLsn,
    timeline: manifest.timeline,
    size_bytes: manifest.rawBytes,
    stored_bytes: manifest.storedBytes,
    duration_seconds: (Date.parse(manifest.stoppedAt) - Date.parse(manifest.startedAt)) / 1000,
    page_checksum_errors: null,
    verified_at: null,
    drilled_at: null,
    keep_until: null,
    system_identifier: manifest.systemIdentifier,
    postgres_version: manifest.postgresVersion,
    databases: manifest.databases.map(({ name }) => name),
    annotations: manifest.annotations,
  };
}

/** How much smaller the stored form is: `4.9:1`. */
export function ratio(
  { rawBytes, storedBytes }: Pick<BackupManifest, "rawBytes" | "storedBytes">,
): string {
  return storedBytes === 0 ? "-" : `${(rawBytes / storedBytes).toFixed(1)}:1`;
}

/** A time for people, in UTC: `2026-11-23 02:24:15Z`. */
export function formatTime(rfc3339: string): string {
  const time = new Date(rfc3339);
  if (Number.isNaN(time.getTime())) return rfc3339;
  return time.toISOString().replace("T", " ").replace(/\.\d+Z$/, "Z");
}
