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
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly database: string;
  readonly sslmode: SslMode;
  /** Files in PEM form. */
  readonly sslrootcert?: string;
  readonly sslcert?: string;
  readonly sslkey?: string;
  /** Seconds until a connection attempt is given up. @default {10} */
  readonly connectTimeout?: number;
  /** @default {"backupctl"} */
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
  readonly timeline: number;
  readonly walSegmentBytes: number;
  readonly dataChecksums: boolean;
  readonly inRecovery: boolean;
  /** The server's own path; undefined when the role may not see it. */
  readonly dataDirectory: string | undefined;
}

/** One database of a cluster. */
export interface DatabaseInfo {
  readonly name: string;
  /** `pg_database_size`; undefined when the role may not connect to it. */
  readonly sizeBytes: number | undefined;
}

/** A server that answers SQL. */
export interface PostgresServer {
  /** `host:port` or the socket, for messages. */
  readonly address: string;
  /** @throws {PostgresError} */
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
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A tablespace outside the data directory. */
export interface Tablespace {
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
  readonly signal?: AbortSignal;
}

/** What arrives during a base backup, in order. */
export type BaseBackupEvent =
  /** A new tar archive begins: the data directory's, or a tablespace's. */
  | { readonly type: "archive"; readonly tablespace: Tablespace | undefined }
  /** The next bytes of the current tar. The view is valid only until the next event is asked for. */
  | { readonly type: "data"; readonly bytes: Bytes }
  /** The next bytes of PostgreSQL's backup_manifest. Valid like data. */
  | { readonly type: "manifest"; readonly bytes: Bytes };

/** A base backup under way. It ends with its connection: dispose to give it up. */
export interface BaseBackup {
  readonly startLsn: Lsn;
  readonly timeline: number;
  readonly tablespaces: readonly Tablespace[];
  /** The server's estimate of all tars together; undefined when it gave none. */
  readonly estimatedBytes: number | undefined;
  /** Read to its end, once. */
  events(): AsyncIterable<BaseBackupEvent>;
  /** After the last event: where the backup became consistent. */
  stop(): { readonly stopLsn: Lsn; readonly timeline: number };
  [Symbol.asyncDispose](): Promise<void>;
}

/** Where base backups come from: the `stream` source, over the replication protocol. */
export interface BaseBackupSource {
  /**
   * Starts a backup: waits for the checkpoint.
   *
   * @throws {PostgresError} when the role may not replicate, no walsender is free, a pooler is in between.
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
  | "pg_verifybackup";

/** A client program found on this machine. */
export interface Program {
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
  readonly stdout: ReadableStream<Bytes>;
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
  readonly connection?: ConnectionOptions;
  readonly stdin?: "piped" | "null";
  /** Variables besides those that every program gets. */
  readonly env?: Readonly<Record<string, string>>;
  /** As another user, which only root may do. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** The working directory; this process's own when absent. */
  readonly cwd?: string;
  readonly signal?: AbortSignal;
}

/** Finds and runs PostgreSQL's programs, with passwords in a PGPASSFILE and never in arguments. */
export interface ClientPrograms {
  /**
   * The program whose major is the least that is at least `minMajor`.
   *
   * @throws {VersionError} naming what was found, where, and what to install.
   */
  find(name: ProgramName, minMajor: number): Promise<Program>;
  run(program: Program, args: readonly string[], options: RunOptions): RunningProgram;
}
