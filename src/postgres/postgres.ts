/**
 * The ports to PostgreSQL: SQL, base backups over the replication protocol, and its own client
 * programs. Everything that depends on the server's version stays in this room.
 *
 * @module
 */
import type { Bytes } from "../domain/bytes.ts";
import { PostgresError } from "../domain/errors.ts";
import type { Lsn } from "../domain/lsn.ts";

/** libpq's `sslmode`. */
export type SslMode = "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";

/** Where and as whom to connect; libpq's names. Defaults and `.pgpass` are applied already. */
export interface ConnectionOptions {
  /** A host name, an address, or the absolute path of a Unix socket's folder. */
  readonly host: string;
  /** TCP port, or the number in the name of the socket. */
  readonly port: number;
  /** The role. */
  readonly user: string;
  /** Never shown, never an argument of a program. */
  readonly password?: string;
  /** Where SQL goes to. */
  readonly database: string;
  /** Whether to encrypt, and what to check. */
  readonly sslmode: SslMode;
  /** Files in PEM form. */
  readonly sslrootcert?: string;
  /** The client's certificate. */
  readonly sslcert?: string;
  /** Its key. */
  readonly sslkey?: string;
  /** Seconds until a connection attempt is given up. @default {10} */
  readonly connectTimeout?: number;
  /** Shown in pg_stat_activity. @default {"backupctl"} */
  readonly applicationName?: string;
}

/** What a server says of itself. */
export interface ServerIdentity {
  /** 64 bits, as decimal text: it does not fit a JSON number. */
  readonly systemIdentifier: string;
  /** `server_version_num`, such as 170006. */
  readonly version: number;
  /** `server_version`, such as `17.6 (Debian 17.6-1)`. */
  readonly versionText: string;
  /** The timeline it is on. */
  readonly timeline: number;
  /** Length of a WAL segment. */
  readonly walSegmentBytes: number;
  /** Whether pages have checksums. */
  readonly dataChecksums: boolean;
  /** Whether it is a standby. */
  readonly inRecovery: boolean;
  /** The server's own path; undefined when the role may not see it. */
  readonly dataDirectory: string | undefined;
}

/** One database of a cluster. */
export interface DatabaseInfo {
  /** The name, as it is. */
  readonly name: string;
  /** `pg_database_size`; undefined when the role may not connect to it. */
  readonly sizeBytes: number | undefined;
}

/** A server that answers SQL. */
export interface PostgresServer {
  /** `host:port` or the socket, for messages. */
  readonly address: string;
  /** What the server says of itself. @throws {PostgresError} */
  identity(): Promise<ServerIdentity>;
  /** Databases that allow connections and are no templates, by name. */
  databases(): Promise<readonly DatabaseInfo[]>;
  /** Settings by name; unknown or hidden ones are absent. */
  settings(names: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Rows of a statement with `$1` parameters; values are text, null or what the driver makes of them. */
  query(
    text: string,
    parameters?: readonly (string | number | boolean | null)[],
  ): Promise<readonly Record<string, unknown>[]>;
  /** Ends the connections. */
  close(): Promise<void>;
  /** The same as closing it, or giving it up. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A tablespace outside the data directory. */
export interface Tablespace {
  /** Its number, also the name of its link in pg_tblspc. */
  readonly oid: number;
  /** The absolute path on the server. */
  readonly location: string;
}

/** How a base backup is taken. PostgreSQL docs, "Streaming Replication Protocol", BASE_BACKUP. */
export interface BaseBackupOptions {
  /** Goes into backup_label. */
  readonly label: string;
  /** Ask for an immediate checkpoint instead of a spread one. */
  readonly fastCheckpoint: boolean;
  /** Include the WAL from start to stop; a temporary slot keeps it from removal meanwhile. */
  readonly includeWal: boolean;
  /** Kilobytes a second, 32 to 1,048,576; absent for no limit. */
  readonly maxRateKb?: number;
  /** The backup_manifest of an earlier backup: send only what changed since, from 17 on. */
  readonly parentManifest?: AsyncIterable<Bytes>;
  /** Gives it up. */
  readonly signal?: AbortSignal;
}

/**
 * The server cannot tell what changed since the parent: summaries of the WAL are missing, the
 * parent lies on another branch, it is no backup of this system. A full backup is possible.
 */
export class IncrementRefusedError extends PostgresError {
  /** Stable, see {@link BackupctlError.code}. */
  override readonly code = "INCREMENT_REFUSED";
}

/** What arrives during a base backup, in order. */
export type BaseBackupEvent =
  /** A new tar archive begins: the data directory's, or a tablespace's. */
  | { readonly type: "archive"; readonly tablespace: Tablespace | undefined }
  /** The next bytes of the current tar. The view is valid only until the next event is asked for. */
  | { readonly type: "data"; readonly bytes: Bytes }
  /** The next bytes of PostgreSQL's backup_manifest. Valid like data. */
  | { readonly type: "manifest"; readonly bytes: Bytes };

/** Pages whose checksum the server found wrong while it sent them. */
export interface ServerDamage {
  /** All of them, as far as the server told. */
  readonly count: number;
  /** Some of them. */
  readonly pages: readonly {
    /** Below the data directory. */
    readonly path: string;
    /** Its number in the file. */
    readonly block: number;
  }[];
}

/** A base backup under way. It ends with its connection: dispose to give it up. */
export interface BaseBackup {
  /** Where recovery will begin. */
  readonly startLsn: Lsn;
  /** The timeline it is on. */
  readonly timeline: number;
  /** Those outside the data directory. */
  readonly tablespaces: readonly Tablespace[];
  /** The server's estimate of all tars together; undefined when it gave none. */
  readonly estimatedBytes: number | undefined;
  /** Read to its end, once. */
  events(): AsyncIterable<BaseBackupEvent>;
  /** After the last event: where the backup became consistent, and what is damaged in it. */
  stop(): {
    readonly stopLsn: Lsn;
    readonly timeline: number;
    /** Pages with wrong checksums; absent when the server found none. */
    readonly damage?: ServerDamage;
  };
  /** The same as closing it, or giving it up. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Where base backups come from: the `stream` source, over the replication protocol. */
export interface BaseBackupSource {
  /**
   * Starts a backup: waits for the checkpoint.
   *
   * @throws {PostgresError} when the role may not replicate, no walsender is free, a pooler is in between.
   * @throws {IncrementRefusedError} when only a full backup is possible.
   * @throws {VersionError} before PostgreSQL 13.
   */
  start(options: BaseBackupOptions): Promise<BaseBackup>;
}

/** PostgreSQL's client programs that backupctl runs. */
export type ProgramName =
  | "pg_dump"
  | "pg_dumpall"
  | "pg_restore"
  | "psql"
  | "pg_ctl"
  | "postgres"
  | "initdb"
  | "pg_amcheck"
  | "pg_verifybackup";

/** A client program found on this machine. */
export interface Program {
  /** Which one. */
  readonly name: ProgramName;
  /** Absolute path. */
  readonly path: string;
  /** Major version that it says it is. */
  readonly major: number;
}

/** A client program ended with another status than 0, or was killed. */
export class ProgramError extends PostgresError {
  /** Undefined when a signal ended it. */
  readonly status: number | undefined;
  /** All that it said, or the last 64 KiB of it. */
  readonly stderr: string;

  /** With what it left behind. */
  constructor(
    message: string,
    { status, stderr }: { readonly status: number | undefined; readonly stderr: string },
  ) {
    super(message);
    this.status = status;
    this.stderr = stderr;
  }
}

/** A client program at work. */
export interface RunningProgram {
  /** What it writes, a stream of bytes (BYOB); read it, or it stops. */
  readonly stdout: ReadableStream<Bytes>;
  /** What it reads, when that is piped. */
  readonly stdin: WritableStream<Bytes>;
  /**
   * Resolves when it ended with 0.
   *
   * @throws {ProgramError} with its status and the last lines of its standard error.
   */
  finished(): Promise<{ readonly stderr: string }>;
  /** SIGTERM, then SIGKILL after five seconds. */
  kill(): Promise<void>;
}

/** How {@link ClientPrograms.run} runs a program. */
export interface RunOptions {
  /** Passed by environment and PGPASSFILE. */
  readonly connection?: ConnectionOptions;
  /** What it reads, when that is piped. */
  readonly stdin?: "piped" | "null";
  /** Variables besides those that every program gets. */
  readonly env?: Readonly<Record<string, string>>;
  /** As another user, which only root may do. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** The working directory; this process's own when absent. */
  readonly cwd?: string;
  /** Gives it up. */
  readonly signal?: AbortSignal;
}

/** Finds and runs PostgreSQL's programs, with passwords in a PGPASSFILE and never in arguments. */
export interface ClientPrograms {
  /**
   * The program whose major is the least that is at least `minMajor`.
   *
   * @throws {VersionError} naming what was found, where, and what to install.
   * @throws {ConfigError} when it is where this executable may not run it.
   */
  find(name: ProgramName, minMajor: number): Promise<Program>;
  /** Starts a program. */
  run(program: Program, args: readonly string[], options: RunOptions): RunningProgram;
}

export type {
  FileBackup,
  FileBackupEnd,
  FileBackupOptions,
  FileBackupSource,
  PageLayout,
} from "./files/file_backup.ts";
export {
  backupManifestText,
  manifestEntries,
  type ManifestFacts,
  type ManifestFile,
} from "./files/backup_manifest_text.ts";
export { runningServer } from "./data_directory.ts";
export { changedPages } from "./files/changed_pages.ts";
export { type RelationFile, relationFile } from "./files/data_file_rules.ts";
export {
  cannotRead,
  type DataDirectoryOptions,
  type DataFile,
  type DataFileList,
  listDataFiles,
} from "./files/list_data_files.ts";
export { type DamagedPage, type PageRun, PageVerifier } from "./files/page_verifier.ts";
export type { HeldSnapshot, SnapshotSource, SnapshotTable } from "./snapshots.ts";
