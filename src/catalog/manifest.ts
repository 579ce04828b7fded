/**
 * backup.json, the commit point of a backup: where it is absent, there is no backup. Nothing in it
 * is ever changed. docs/repository-format.md describes every field.
 *
 * @module
 */
import type { BackupKind, BackupMethod } from "../domain/backup_id.ts";

/** The highest `version` of backup.json that this program reads, and the one that it writes. */
export const MANIFEST_VERSION = 1;

/** What an object of a backup holds. */
export type ObjectRole = "chunk" | "backup_manifest" | "globals" | "dump";

/** One object of a backup. */
export interface ManifestObject {
  /** Relative to the backup's folder: `chunks/0001.tar.zst`. */
  readonly key: string;
  readonly role: ObjectRole;
  /** The database of a dump. */
  readonly database?: string;
  readonly rawBytes: number;
  readonly storedBytes: number;
  /** Of the stored bytes, lower-case hexadecimal. */
  readonly sha256: string;
}

/** What backup.json says. LSNs as PostgreSQL writes them, times RFC 3339 UTC, sizes in bytes. */
export interface BackupManifest {
  readonly format: "backupctl.backup";
  readonly version: number;
  readonly id: string;
  readonly cluster: string;
  readonly systemIdentifier: string;
  /** `server_version_num`. */
  readonly postgresVersion: number;
  readonly method: BackupMethod;
  readonly kind: BackupKind;
  readonly parentId: string | null;
  readonly label: string | null;
  readonly annotations: Readonly<Record<string, string>>;
  /** Physical backups only, as are the next three. */
  readonly timeline: number | null;
  readonly startLsn: string | null;
  readonly stopLsn: string | null;
  readonly walSegmentBytes: number | null;
  readonly startedAt: string;
  readonly stoppedAt: string;
  readonly tablespaces: readonly { readonly oid: number; readonly location: string }[];
  readonly databases: readonly { readonly name: string; readonly sizeBytes: number | null }[];
  readonly objects: readonly ManifestObject[];
  /** Raw bytes of all objects together. */
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly codec: { readonly algorithm: "gzip" | "zstd"; readonly level: number };
  /** `null`: not encrypted by backupctl. */
  readonly encryption: null;
  /** Whether the cluster has page checksums; null for logical backups. */
  readonly pageChecksums: boolean | null;
  /** The role that took it and the machine, for people. */
  readonly host: string | null;
  readonly tool: { readonly name: "backupctl"; readonly version: string };
}
