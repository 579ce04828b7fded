import type { Bytes } from "../../domain/bytes.ts";
import type { Lsn } from "../../domain/lsn.ts";

/** How the `files` source begins a backup. */
export interface FileBackupOptions {
  /** Goes into backup_label. */
  readonly label: string;
  /** Ask for an immediate checkpoint instead of a spread one. */
  readonly fastCheckpoint: boolean;
  /** Gives it up. */
  readonly signal?: AbortSignal;
}

/** How the server lays out relations. */
export interface PageLayout {
  /** Of one page, usually 8,192. */
  readonly pageBytes: number;
  /** How many pages a file of a relation has at most, usually 131,072. */
  readonly segmentPages: number;
  /** Whether pages have checksums. */
  readonly checksums: boolean;
}

/** What ends a backup of the files. */
export interface FileBackupEnd {
  /** Where the backup becomes consistent. */
  readonly stopLsn: Lsn;
  /** The file `backup_label`, byte for byte. */
  readonly label: Bytes;
  /** Names of the WAL segments from start to stop, and of the timeline's history, in pg_wal. */
  readonly walFiles: readonly string[];
}

/** A backup of the files under way. It ends with its session: dispose to give it up. */
export interface FileBackup extends AsyncDisposable {
  /** The folder to read: absolute. */
  readonly dataDirectory: string;
  /** The server's `PG_<major>_<catalogue version>`: its one folder in each tablespace. */
  readonly versionFolder: string;
  /** Where recovery will begin. */
  readonly startLsn: Lsn;
  /** Those outside the data directory. */
  readonly tablespaces: readonly { readonly oid: number; readonly location: string }[];
  /** Pages and their checksums. */
  readonly pages: PageLayout;
  /** Aborts when the session is lost: then what was read is no backup. */
  readonly lost: AbortSignal;
  /** `global/pg_control`, whole and not torn. To be asked for when all else is read. */
  controlFile(): Promise<Bytes>;
  /** Ends it, once. @throws {PostgresError} when the session was lost. */
  stop(): Promise<FileBackupEnd & { readonly timeline: number }>;
}

/** Backups of the server's files, read on its own host: the `files` source. */
export interface FileBackupSource {
  /**
   * Why this process cannot read the files of this very server; undefined when it can.
   *
   * @throws {PostgresError} when the server cannot be asked.
   */
  obstacle(): Promise<string | undefined>;
  /**
   * Starts a backup: waits for the checkpoint.
   *
   * @throws {PostgresError} with the remedy, also when there is an {@link obstacle}.
   */
  start(options: FileBackupOptions): Promise<FileBackup>;
}
