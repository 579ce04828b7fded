import type { BackupManifest } from "../catalog/catalog.ts";
import { type BackupFacts, type BackupState, stateOf } from "./status/backup_facts.ts";

/** A backup as JSON documents show it; fields are only ever added. */
export interface BackupDocument {
  readonly id: string;
  readonly method: string;
  readonly kind: string;
  readonly label: string | null;
  readonly parent_id: string | null;
  readonly state: BackupState;
  readonly started_at: string;
  readonly stopped_at: string;
  readonly start_lsn: string | null;
  readonly stop_lsn: string | null;
  readonly timeline: number | null;
  readonly size_bytes: number;
  readonly stored_bytes: number;
  readonly duration_seconds: number;
  /** Null: nobody looked. */
  readonly page_checksum_errors: number | null;
  readonly verified_at: string | null;
  readonly drilled_at: string | null;
  /** A time, or `infinity`; null: nothing but the retention policy keeps it. */
  readonly keep_until: string | null;
  readonly system_identifier: string;
  readonly postgres_version: number;
  readonly databases: readonly string[];
  /** Null: a physical backup, or not known. */
  readonly all_databases: boolean | null;
  readonly annotations: Readonly<Record<string, string>>;
}

const UNKNOWN: BackupFacts = { checks: undefined, notes: undefined, broken: false };

/** What JSON documents say of a backup. `facts`: what became known after it was taken. */
export function backupDocument(
  manifest: BackupManifest,
  facts: BackupFacts = UNKNOWN,
): BackupDocument {
  const { checks, notes } = facts;
  return {
    id: manifest.id,
    method: manifest.method,
    kind: manifest.kind,
    label: manifest.label,
    parent_id: manifest.parentId,
    state: stateOf(manifest, facts),
    started_at: manifest.startedAt,
    stopped_at: manifest.stoppedAt,
    start_lsn: manifest.startLsn,
    stop_lsn: manifest.stopLsn,
    timeline: manifest.timeline,
    size_bytes: manifest.rawBytes,
    stored_bytes: manifest.storedBytes,
    duration_seconds: (Date.parse(manifest.stoppedAt) - Date.parse(manifest.startedAt)) / 1000,
    page_checksum_errors: pageErrors(manifest),
    verified_at: checks?.verifiedAt?.toISOString() ?? null,
    drilled_at: checks?.drilledAt?.toISOString() ?? null,
    keep_until: notes?.pin ? notes.pin.until?.toISOString() ?? "infinity" : null,
    system_identifier: manifest.systemIdentifier,
    postgres_version: manifest.postgresVersion,
    databases: manifest.databases.map(({ name }) => name),
    all_databases: manifest.allDatabases ?? null,
    annotations: annotationsOf(manifest, facts),
  };
}

/** `2 databases` of a logical backup of chosen ones; undefined of any other. */
export function chosenDatabases(
  { allDatabases, databases }: Pick<BackupManifest, "allDatabases" | "databases">,
): string | undefined {
  if (allDatabases !== false) return undefined;
  if (databases.length === 0) return "chosen databases"; // their names are sealed
  return databases.length === 1 ? "1 database" : `${databases.length} databases`;
}

/** Those of the manifest, with what was noted since over them. */
export function annotationsOf(
  { annotations }: Pick<BackupManifest, "annotations">,
  { notes }: BackupFacts = UNKNOWN,
): Readonly<Record<string, string>> {
  const all = Object.entries({ ...annotations, ...notes?.annotations });
  return Object.fromEntries(all.filter((pair): pair is [string, string] => pair[1] !== null));
}

/** Only a backup that read the files itself has compared their pages. */
function pageErrors({ damagedPages, source, pageChecksums }: BackupManifest): number | null {
  return damagedPages?.count ?? (source === "files" && pageChecksums ? 0 : null);
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
