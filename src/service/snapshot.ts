import type {
  BackupManifest,
  RunRecord,
  SucceededDrill,
  UnreadableBackup,
} from "../catalog/catalog.ts";
import type { Archiving, NamedGap, ReportedWindow, WalBacklog } from "../engine/engine.ts";

/** What the repository holds, as far as backups and WAL go. */
export interface RepositorySnapshot {
  /** `s3://bucket/prefix/cluster`, for people. */
  readonly location: string;
  /** Every committed backup, by stop time, oldest first. */
  readonly backups: readonly BackupManifest[];
  /** Manifests that stand there and cannot be used. */
  readonly unreadable: readonly UnreadableBackup[];
  /** The moments that can be restored, by timeline and position. */
  readonly windows: readonly ReportedWindow[];
  /** Segments that are needed and absent. */
  readonly gaps: readonly NamedGap[];
  /** Of the newest timeline that has any. */
  readonly lastArchived: string | undefined;
  /** When the store got it. */
  readonly lastArchivedAt: Date | undefined;
  /** Archived segments. */
  readonly walSegments: number;
  /** Bytes of archived WAL, as stored. */
  readonly walStoredBytes: number;
  /** Bytes of all backups' objects, as stored. */
  readonly backupStoredBytes: number;
  /** The newest drill that succeeded. */
  readonly lastDrill?: SucceededDrill | undefined;
  /** Of the file system of a folder; undefined for a bucket. */
  readonly disk: { readonly freeBytes: number; readonly totalBytes: number } | undefined;
}

/** What the server being backed up says. */
export interface ServerSnapshot {
  /** Its settings and pg_stat_archiver. */
  readonly archiving: Archiving;
  /** Undefined when the role may not see it. */
  readonly backlog: WalBacklog | undefined;
}

/** How one firing of an entry ended. */
export interface FiringOutcome {
  /** The moment that the cron line named. */
  readonly due: Date;
  /** When it began, or was skipped. */
  readonly startedAt: Date;
  /** Undefined while it runs. */
  readonly finishedAt: Date | undefined;
  /** `lost`: the daemon died meanwhile, so nobody knows. */
  readonly outcome: "running" | "succeeded" | "failed" | "skipped" | "lost";
  /** Of the child; undefined when none ended. */
  readonly exitStatus: number | undefined;
  /** Why it was skipped, or what the child said last. */
  readonly message: string | undefined;
}

/** One entry of the schedule as it stands. */
export interface EntrySnapshot {
  readonly name: string;
  readonly cron: string;
  /** As the configuration has it: `backup full --label weekly`. */
  readonly run: string;
  /** What runs one at a time: `backup`, `prune` … */
  readonly kind: string;
  /** IANA name; undefined for the machine's. */
  readonly timezone: string | undefined;
  /** With its jitter; undefined when the line names no moment any more. */
  readonly nextRun: Date | undefined;
  /** Undefined before the first one that is known. */
  readonly last: FiringOutcome | undefined;
}

/** Which daemon of the cluster runs the schedule. */
export interface LeaderSnapshot {
  /** Whether it is this one. */
  readonly here: boolean;
  /** `host/pid` of the leader, when known. */
  readonly holder: string | undefined;
}

/** A part that could not be asked. The others are still good. */
export interface SnapshotProblem {
  readonly part: "repository" | "server" | "runs";
  readonly message: string;
}

/** Everything that metrics, alerts and the status page show, gathered at one moment. */
export interface ServiceSnapshot {
  readonly cluster: string;
  /** This machine. */
  readonly host: string;
  /** Of backupctl. */
  readonly version: string;
  readonly takenAt: Date;
  /** What gathering took. */
  readonly tookSeconds: number;
  /** Undefined when it could not be read; see `problems`. */
  readonly repository: RepositorySnapshot | undefined;
  /** Undefined when it could not be asked; see `problems`. */
  readonly server: ServerSnapshot | undefined;
  /** Of the catalogue and of what waits to be recorded there, the newest first. */
  readonly runs: readonly RunRecord[];
  /** In the order of the configuration. */
  readonly schedule: readonly EntrySnapshot[];
  readonly leader: LeaderSnapshot | undefined;
  readonly problems: readonly SnapshotProblem[];
  /** Why the last reload of the configuration was refused; the one before it applies. */
  readonly configFault: string | undefined;
}
