/** What the engines are given: ports only, and what they hand back. */
import type {
  BackupManifest,
  BackupSlot,
  DamagedPages,
  Leases,
  ManifestObject,
  Repository,
  TakenOver,
} from "../catalog/catalog.ts";
import type { CodecPool, CodecSpec } from "../codec/codec.ts";
import type { BackupMethod } from "../domain/backup_id.ts";
import type { Clock } from "../domain/clock.ts";
import type { Progress } from "../domain/progress.ts";
import type {
  BaseBackupSource,
  ClientPrograms,
  ConnectionOptions,
  FileBackupSource,
  PostgresServer,
  ServerIdentity,
  SnapshotSource,
} from "../postgres/postgres.ts";
import type { ObjectStore } from "../storage/storage.ts";
import type { RecoverySettings } from "./recovery/recovery_settings.ts";

/** What a backup needs of the world. */
export interface BackupParts {
  /** Where the manifests are. */
  readonly repository: Repository;
  /** Where the objects are. */
  readonly store: ObjectStore;
  /** Stable, see {@link BackupctlError.code}. */
  readonly codecs: CodecPool;
  /** The server that is backed up. */
  readonly server: PostgresServer;
  /** How client programs reach it. */
  readonly connection: ConnectionOptions;
  /** Where physical backups come from. */
  readonly baseBackups: BaseBackupSource;
  /** Where they come from when the server's files are read; absent: never. */
  readonly fileBackups?: FileBackupSource;
  /** Moments of databases that several pg_dumps read at once; absent: one after the other. */
  readonly snapshots?: SnapshotSource;
  /** pg_dump and its siblings. */
  readonly programs: ClientPrograms;
  /** What time it is. */
  readonly clock: Clock;
  /** Hears how far it is. */
  readonly progress: Progress;
  /** backupctl's own version, for the manifest. */
  readonly toolVersion: string;
  /** This machine's name, for the manifest. */
  readonly host: string | null;
  /** Tells removals of this run. */
  readonly leases?: Leases;
}

/** What to back up and how. */
export interface FullBackupOptions {
  /** By base backup or by dumps. */
  readonly method: BackupMethod;
  /** A name for people. */
  readonly label?: string;
  /** Kept with the backup. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** Logical: these databases; all that allow connections when absent. */
  readonly databases?: readonly string[];
  /**
   * Logical: how many dumps of one database are taken at once, of one moment, and from which size
   * on. Absent: one.
   */
  readonly split?: {
    readonly streams: number;
    readonly fromBytes: number;
    /** Of the tables of one dump. @default {64 MiB} */
    readonly leastBytes?: number;
  };
  /** Stable, see {@link BackupctlError.code}. */
  readonly codec: CodecSpec;
  /** Physical: do not spread the checkpoint. */
  readonly fastCheckpoint?: boolean;
  /** Physical: the server is a standby, and its primary archives. @default {false} */
  readonly fromStandby?: boolean;
  /** Physical: kilobytes a second at most. */
  readonly maxRateKb?: number;
  /** Physical: whether the server sends its files or they are read here. @default {"stream"} */
  readonly source?: "stream" | "files";
  /** Physical: a page with a wrong checksum fails the backup. @default {false} */
  readonly failOnCorruption?: boolean;
  /**
   * Physical, from files: what a run that was cut off has stored is taken over where it is equal.
   *
   * @default {true}
   */
  readonly resume?: boolean;
  /**
   * Physical, when the server archives into this repository: milliseconds to wait until the WAL
   * from the backup's start to its stop is there. Absent: it is not waited for.
   */
  readonly waitWal?: number;
  /** Gives the run up. */
  readonly signal?: AbortSignal;
}

/** What one method of backup is called with. */
export interface BackupRun {
  /** Its name and folder. */
  readonly slot: BackupSlot;
  /** Of the server. */
  readonly identity: ServerIdentity;
  /** As they were asked for. */
  readonly options: FullBackupOptions;
  /** Physical: store only what changed since this one. */
  readonly parent?: BackupManifest;
}

/** One way to find out what changed since a parent. */
export interface IncrementalSource {
  /** Which of {@link FullBackupOptions.source} it reads. */
  readonly source: "stream" | "files";
  /** Why this way is closed for this server or this parent; undefined when it is open. */
  whyNot(
    parts: BackupParts,
    about: { readonly identity: ServerIdentity; readonly parent: BackupManifest },
  ): Promise<string | undefined>;
  /**
   * Takes the increment on top of `run.parent`.
   *
   * @throws {IncrementRefusedError} before anything is stored, when only a full one is possible.
   */
  take(
    parts: BackupParts,
    run: BackupRun & { readonly parent: BackupManifest },
  ): Promise<BackupContent>;
}

/** The part of the manifest that the method itself knows. */
export interface BackupContent {
  /** Everything that a restore fetches. */
  readonly objects: readonly ManifestObject[];
  /** See {@link BackupManifest}. */
  readonly timeline: number | null;
  /** Where recovery begins. */
  readonly startLsn: string | null;
  /** Where the backup becomes consistent. */
  readonly stopLsn: string | null;
  /** Those outside the data directory. */
  readonly tablespaces: BackupManifest["tablespaces"];
  /** Those of the cluster, or those that were dumped. */
  readonly databases: BackupManifest["databases"];
  /** See the field of that name in {@link BackupManifest}. */
  readonly allDatabases?: boolean;
  /** See the field of that name in {@link BackupManifest}. */
  readonly source?: "stream" | "files";
  /** See the field of that name in {@link BackupManifest}. */
  readonly damagedPages?: DamagedPages;
  /** See the field of that name in {@link BackupManifest}. */
  readonly takenOver?: TakenOver;
  /** Keys of objects that are of no use once the backup is committed. */
  readonly scaffolding?: readonly string[];
}

/** What a restore needs of the world. */
export interface RestoreParts {
  /** Where the manifests are. */
  readonly repository: Repository;
  /** Where the objects are. */
  readonly store: ObjectStore;
  /** Stable, see {@link BackupctlError.code}. */
  readonly codecs: CodecPool;
  /** pg_dump and its siblings. */
  readonly programs: ClientPrograms;
  /** Hears how far it is. */
  readonly progress: Progress;
  /** Tells removals of this run. */
  readonly leases?: Leases;
}

/** Where a backup goes to. Exactly one of `destination` and `into`. */
export interface RestoreOptions {
  /** An empty or absent folder: the new PGDATA, or the folder of the dump files. */
  readonly destination?: string;
  /** Logical only: the live server that gets the databases. */
  readonly into?: ConnectionOptions;
  /** Logical only: these databases of the backup. */
  readonly databases?: readonly string[];
  /** Physical only: old location → new location of tablespaces. */
  readonly tablespaceMap?: ReadonlyMap<string, string>;
  /** Logical, into a server: these tables of one database, without their indexes and keys. */
  readonly tables?: readonly string[];
  /** Logical, into scratch servers: tablespaces lie in the data directory. @default {false} */
  readonly inPlaceTablespaces?: boolean;
  /** Physical only: roll forward from the backup's end. Absent: the cluster opens there. */
  readonly recovery?: RecoverySettings;
  /** Physical only: leave archive_mode as it was. @default {false} */
  readonly keepArchiving?: boolean;
  /** Physical only: keep what is equal in a data directory that is there. @default {false} */
  readonly delta?: boolean;
  /** With `delta`: overwrite a data directory of another system, too. @default {false} */
  readonly force?: boolean;
  /** Threads or connections at work. */
  readonly jobs: number;
  /** Gives the run up. */
  readonly signal?: AbortSignal;
}

/** What a restore would do. Nothing was moved to find out. */
export interface RestorePlan {
  /** Which one. */
  readonly backup: BackupManifest;
  /** What it is built on and itself, the full one first. */
  readonly chain: readonly BackupManifest[];
  /** The folder, or the address of the server. */
  readonly destination: string;
  /** How many objects are fetched. */
  readonly objects: number;
  /** Bytes to fetch from the store. */
  readonly fetchBytes: number;
  /** Bytes that will be written. */
  readonly writeBytes: number;
  /** Free bytes at the destination; null when it cannot be told. */
  readonly freeBytes: number | null;
  /** Where they come from and go to. */
  readonly tablespaces: readonly {
    readonly oid: number;
    readonly from: string;
    readonly to: string;
  }[];
  /** What stands in the way; empty when the restore may start. */
  readonly obstacles: readonly string[];
  /** How to clear the way, where that is known. */
  readonly remedy?: string;
}

/** What a restore did. */
export interface RestoreReport {
  /** Which one. */
  readonly backup: BackupManifest;
  /** The folder, or the address of the server. */
  readonly destination: string;
  /** How many files, or dumps, were written. */
  readonly files: number;
  /** Bytes that were written. */
  readonly rawBytes: number;
  /** Bytes that were fetched from the store. */
  readonly fetchedBytes: number;
  /** Files that were there and equal, and their length; absent when nobody looked. */
  readonly kept?: { readonly files: number; readonly bytes: number };
  /** By the monotonic clock. */
  readonly durationSeconds: number;
}
