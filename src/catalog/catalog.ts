/**
 * The face of the catalogue: the repository's manifests, which are the truth, and the index of
 * them in PostgreSQL, which may be lost at any time.
 *
 * @module
 */
import type { BackupKind, BackupMethod } from "../domain/backup_id.ts";
import type { ObjectInfo } from "../storage/storage.ts";
import type { BackupManifest } from "./manifest.ts";
import type { UnfinishedBackup } from "./unfinished_backup.ts";

export { type AbandonedChunk, findAbandonedChunks } from "./abandoned_chunks.ts";
export { backupChain, wholeChains } from "./backup_chain.ts";
export type { BackupNotes, NoteBook, NoteChange } from "./backup_notes.ts";
export { putChunkRecord } from "./chunk_record.ts";
export type { HeldLease } from "./held_lease.ts";
export type { StoredLease } from "./lease_list.ts";
export type { LeaseNeeds, LeaseRemovals } from "./lease_record.ts";
export type { Leases } from "./leases.ts";
export { listManifests } from "./list_manifests.ts";
export type { UnfinishedBackup } from "./unfinished_backup.ts";
export type {
  BackupManifest,
  DamagedPages,
  DumpSection,
  ManifestEncryption,
  ManifestObject,
  ObjectRole,
  TakenOver,
} from "./manifest.ts";
export { newestDrill, type SucceededDrill } from "./newest_drill.ts";
export type { RunOutcome, RunRecord } from "./run_record.ts";

/** A backup that has begun: its name and the folder that its objects go into. */
export interface BackupSlot {
  /** See domain/backup_id.ts. */
  readonly id: string;
  /** Prefix of the keys of its objects, with a slash at its end. */
  readonly folder: string;
}

/** A manifest that stands in the repository but cannot be used. */
export interface UnreadableBackup {
  /** The key of its backup.json. */
  readonly key: string;
  /** Why it cannot be used, for people. */
  readonly reason: string;
  /** Likely cause or remedy, where one is known. */
  readonly hint?: string;
}

/** What {@link Repository.backups} tells of besides the backups. */
export interface BackupsOptions {
  /** Hears of manifests that cannot be used; they are left out. */
  readonly onUnreadable?: (backup: UnreadableBackup) => void;
  /** Hears of folders without a manifest; costs a listing of what lies in them. */
  readonly onUnfinished?: (backup: UnfinishedBackup) => void;
  /** See {@link ListOptions.onForeign}. */
  readonly onForeign?: (path: string) => void;
  /** False: `objects` are left out, so that memory does not grow with them. @default {true} */
  readonly withObjects?: boolean;
  /** A repository that nobody has begun yet has no backups. @default {false} */
  readonly mayBeNone?: boolean;
  /** Gives the call up. */
  readonly signal?: AbortSignal;
}

/** The backups of one cluster in one store. */
export interface Repository {
  /** `s3://bucket/prefix/cluster`, for messages. */
  readonly location: string;
  /** The name of the cluster in the store. */
  readonly cluster: string;

  /**
   * Makes sure that repository.json is there and readable; creates it on first use.
   *
   * @throws {RepositoryError} when it is of a newer format, or was there once and is gone.
   */
  prepare(signal?: AbortSignal): Promise<void>;

  /**
   * Every committed backup, by stop time, oldest first. Unreadable manifests are passed to
   * `onUnreadable` and left out.
   *
   * @throws {RepositoryError} when there is no repository and that is not allowed, or none any more.
   */
  backups(options?: BackupsOptions): Promise<readonly BackupManifest[]>;

  /** One committed backup. @throws {NothingMatchesError} with the nearest names. */
  backup(id: string, signal?: AbortSignal): Promise<BackupManifest>;

  /**
   * A name that nobody has, with `-2`, `-3` when the second is taken, and its folder, which an
   * object `claim` holds against other hosts until the backup is committed or discarded.
   */
  begin(
    systemIdentifier: string,
    options: {
      readonly method: BackupMethod;
      readonly kind: BackupKind;
      readonly startedAt: Date;
      readonly signal?: AbortSignal;
    },
  ): Promise<BackupSlot>;

  /**
   * Checks by HEAD that every object is there with its stored size, then writes backup.json only
   * if absent: the commit point.
   *
   * @throws {IntegrityError} when an object is missing or has another size; nothing is committed.
   */
  commit(manifest: BackupManifest, signal?: AbortSignal): Promise<ObjectInfo>;

  /** Removes what an abandoned backup left behind. Never throws; never touches a committed one. */
  discard(slot: BackupSlot): Promise<void>;

  /** The folder of a committed backup. */
  folder(manifest: BackupManifest): string;
}
