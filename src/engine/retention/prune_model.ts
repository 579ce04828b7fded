/**
 * What a plan of removal is made from and what it says. Plain values: no store, no clock.
 *
 * @module
 */
import type { BackupKind, BackupMethod } from "../../domain/backup_id.ts";
import type { Lsn } from "../../domain/lsn.ts";
import type { RetentionPolicy } from "../../domain/retention_policy.ts";
import type { TimelineHistory } from "../../domain/timeline_history.ts";

/** What a physical backup needs of the log. */
export interface BackupWal {
  /** The one that it ended on. */
  readonly timeline: number;
  readonly startLsn: Lsn;
  readonly stopLsn: Lsn;
}

/** What is known of the databases in a logical backup. */
export interface HeldDatabases {
  /** All of the server at that time, and not those that somebody chose. */
  readonly all: boolean;
  /** In order; null when nobody knows them: they are sealed. */
  readonly names: readonly string[] | null;
}

/** What matters of a backup here. */
export interface PruneBackup {
  readonly id: string;
  readonly method: BackupMethod;
  readonly kind: BackupKind;
  readonly parentId: string | null;
  /** Milliseconds since 1970: backups are ordered by it, never by their names. */
  readonly stoppedAt: number;
  /** Of its objects, as stored. */
  readonly storedBytes: number;
  /** Null for a logical one. */
  readonly wal: BackupWal | null;
  /** Of a logical one; absent: nothing is known. */
  readonly databases?: HeldDatabases;
  /** Somebody asked to keep it: until then, in milliseconds since 1970, or for ever. */
  readonly pin?: { readonly until: number | null };
  /** Who reads it now, or builds on it. */
  readonly inUseBy?: string;
}

/** Segments of one timeline in a row, which stay or go together. */
export interface WalPiece {
  readonly timeline: number;
  /** Numbers, both included. */
  readonly first: number;
  readonly last: number;
  /** As stored. */
  readonly bytes: number;
  /** Milliseconds since 1970: when its last segment was stored; undefined when nobody knows. */
  readonly storedAt: number | undefined;
}

/** A `.backup` or `.partial` file: it goes when the segment that it is named for may go. */
export interface SideFile extends WalPiece {
  readonly key: string;
}

/** One database system under a cluster's name; systems are judged apart from each other. */
export interface PruneSystem {
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  /** Every committed backup of it, in any order. */
  readonly backups: readonly PruneBackup[];
  /** In any order. */
  readonly wal: readonly WalPiece[];
  /** In any order. @default {none} */
  readonly sideFiles?: readonly SideFile[];
  /** Of the timelines whose history file is there. */
  readonly histories: ReadonlyMap<number, TimelineHistory>;
  /** Somebody needs the log from this segment on, on whatever timeline. */
  readonly walInUseFrom?: number;
}

/** What is planned from. */
export interface PruneInput {
  readonly systems: readonly PruneSystem[];
  readonly policy: RetentionPolicy;
  /** Milliseconds since 1970, by the store's clock where one is known. */
  readonly now: number;
}

/** A backup that stays. */
export interface KeptBackup {
  readonly systemIdentifier: string;
  readonly backup: PruneBackup;
  /** For people; never empty. */
  readonly reasons: readonly string[];
}

/** A backup that goes. */
export interface RemovedBackup {
  readonly systemIdentifier: string;
  readonly backup: PruneBackup;
  readonly reason: string;
}

/** What becomes of a piece of the log. */
export interface JudgedWal extends WalPiece {
  readonly systemIdentifier: string;
  readonly keep: boolean;
  readonly reason: string;
}

/** What stays and what goes. */
export interface PrunePlan {
  /** By system and stop time, the oldest first. */
  readonly keep: readonly KeptBackup[];
  /** In the order of removal: what builds on another goes before that. */
  readonly remove: readonly RemovedBackup[];
  /** By system, timeline and number. */
  readonly wal: readonly JudgedWal[];
  /** Those that go. */
  readonly sideFiles: readonly SideFile[];
}
