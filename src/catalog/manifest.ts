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
export type ObjectRole = "chunk" | "backup_manifest" | "file_list" | "globals" | "dump";

/** What of a database a part of its dump holds; pg_dump's words. */
export type DumpSection = "pre-data" | "data" | "post-data";

/** One object of a backup. */
export interface ManifestObject {
  /** Relative to the backup's folder: `chunks/0001.tar.zst`. */
  readonly key: string;
  /** What it holds. */
  readonly role: ObjectRole;
  /** The database of a dump. */
  readonly database?: string;
  /** Of a dump in parts; absent when the object is the whole dump. */
  readonly section?: DumpSection;
  /** Which one of the parts with data, from 1 on. */
  readonly part?: number;
  /**
   * Of a chunk: how many files of backup_manifest it holds. All chunks together hold them in the
   * order in which they are listed; absent when they do not.
   */
  readonly files?: number;
  /** Bytes before compression. */
  readonly rawBytes: number;
  /** Bytes as stored. */
  readonly storedBytes: number;
  /** Of the stored bytes, lower-case hexadecimal. */
  readonly sha256: string;
}

/** Pages whose checksum was wrong when they were read. */
export interface DamagedPages {
  /** All of them. */
  readonly count: number;
  /** Some of them: at most 100 files with 100 blocks each. */
  readonly files: readonly {
    /** Below the data directory. */
    readonly path: string;
    /** Numbers in the relation, all its segments counted. */
    readonly blocks: readonly number[];
  }[];
}

/** Chunks that were not sent again, because an earlier run had stored the very same. */
export interface TakenOver {
  /** How many. */
  readonly objects: number;
  /** What they take. */
  readonly storedBytes: number;
  /** The backups that were begun and not finished, by name. */
  readonly from: readonly string[];
}

/** How a backup is encrypted. */
export interface ManifestEncryption {
  /** The form of its objects. */
  readonly scheme: "backupctl.seal/1";
  /** Of the data key; absent before the backup is committed. */
  readonly keyId?: string;
  /**
   * Label, annotations, and the names of databases and tablespaces, sealed, in base64. Absent when
   * they stand where they belong: before they were sealed, or after they were opened.
   */
  readonly sealed?: string;
}

/** What backup.json says. LSNs as PostgreSQL writes them, times RFC 3339 UTC, sizes in bytes. */
export interface BackupManifest {
  /** Tells it from other JSON. */
  readonly format: "backupctl.backup";
  /** At most {@link MANIFEST_VERSION}, or the reader refuses. */
  readonly version: number;
  /** The name of the backup. */
  readonly id: string;
  /** The name of the cluster in the store. */
  readonly cluster: string;
  /** PostgreSQL's own identifier of the cluster, decimal. */
  readonly systemIdentifier: string;
  /** `server_version_num`. */
  readonly postgresVersion: number;
  /** How it was taken. */
  readonly method: BackupMethod;
  /** Whether it stands alone. */
  readonly kind: BackupKind;
  /** What an increment is on top of. */
  readonly parentId: string | null;
  /** For people. */
  readonly label: string | null;
  /** Key and value, for people. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Physical backups only, as are the next three. */
  readonly timeline: number | null;
  /** Where recovery begins. */
  readonly startLsn: string | null;
  /** Where the backup becomes consistent. */
  readonly stopLsn: string | null;
  /** Length of a WAL segment. */
  readonly walSegmentBytes: number | null;
  /** When it began. */
  readonly startedAt: string;
  /** When it ended; backups are ordered by it. */
  readonly stoppedAt: string;
  /** Those outside the data directory. */
  readonly tablespaces: readonly { readonly oid: number; readonly location: string }[];
  /** Those of the cluster at that time, or those that were dumped. */
  readonly databases: readonly { readonly name: string; readonly sizeBytes: number | null }[];
  /**
   * Of a logical backup: whether it is of all databases that the server had, and not of those that
   * somebody chose. In the clear, unlike their names. Absent: not known.
   */
  readonly allDatabases?: boolean;
  /** Everything that a restore fetches. */
  readonly objects: readonly ManifestObject[];
  /** Raw bytes of all objects together. */
  readonly rawBytes: number;
  /** Bytes as stored. */
  readonly storedBytes: number;
  /** Stable, see {@link BackupctlError.code}. */
  readonly codec: { readonly algorithm: "gzip" | "zstd"; readonly level: number };
  /** `null`: not encrypted by backupctl. */
  readonly encryption: ManifestEncryption | null;
  /** Whether the cluster has page checksums; null for logical backups. */
  readonly pageChecksums: boolean | null;
  /** Of a physical backup: whether the server sent the files or they were read. Absent: sent. */
  readonly source?: "stream" | "files";
  /** Absent when none was found. */
  readonly damagedPages?: DamagedPages;
  /** What earlier runs had stored before they were cut off; absent: nothing. */
  readonly takenOver?: TakenOver;
  /** The role that took it and the machine, for people. */
  readonly host: string | null;
  /** What wrote it. */
  readonly tool: { readonly name: "backupctl"; readonly version: string };
}
