/** What a removal is given, and what it hands back. */
import type { Leases, NoteBook, Repository } from "../../catalog/catalog.ts";
import type { Clock } from "../../domain/clock.ts";
import type { Progress } from "../../domain/progress.ts";
import type { RetentionPolicy } from "../../domain/retention_policy.ts";
import type { ObjectStore, ReadOptions } from "../../storage/storage.ts";
import type { PrunePlan } from "./prune_model.ts";

/** What a removal needs of the world. */
export interface PruneParts {
  readonly repository: Repository;
  readonly store: ObjectStore;
  readonly leases: Leases;
  readonly notes: NoteBook;
  readonly clock: Clock;
  readonly progress: Progress;
  /** Whether the store keeps "only if absent": otherwise nobody can be kept out. */
  readonly conditionalPut: boolean;
  /** Signs that backups are removed, before they are; absent: nobody signs for it. */
  readonly signRemoval?: (
    places: readonly { readonly systemIdentifier: string; readonly id: string }[],
    options: ReadOptions,
  ) => Promise<void>;
  /**
   * Keys in one request; the lease is looked at before each. 1 where a request is no network's.
   *
   * @default {1000}
   */
  readonly batchKeys?: number;
}

/** What to remove. */
export interface PruneOptions {
  /** Absent: no backup and no log is removed. */
  readonly policy?: RetentionPolicy;
  /** Folders without backup.json that nobody writes to, and the log of systems without backups. */
  readonly orphans?: boolean;
  /** Unfinished uploads. */
  readonly uploads?: boolean;
  /** Orphans and uploads are left alone until they are so many milliseconds old. @default {7 days} */
  readonly olderThan?: number;
  /** Remove also more than half of the backups at once, and without mutual exclusion. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
}

/** A folder that is no backup and goes. */
export interface Leftover {
  readonly systemIdentifier: string;
  readonly id: string;
  readonly bytes: number;
  readonly reason: string;
}

/** What would be done; what is done, when nothing changes in between. */
export interface Removal extends PrunePlan {
  /** Every committed backup that the plan knows of: `<system identifier>/<id>`. */
  readonly seen: ReadonlySet<string>;
  readonly leftovers: readonly Leftover[];
  /** Segments of each system have so many bytes. */
  readonly segmentBytes: ReadonlyMap<string, number>;
  /** For people: what was seen and is left alone. */
  readonly notes: readonly string[];
  /** As stored. */
  readonly freedBytes: number;
}

/** What was done. */
export interface RemovalReport {
  readonly removal: Removal;
  readonly removedSegments: number;
  /** Unfinished uploads that were given up. */
  readonly uploads: number;
}

/** Leftovers are left alone for so long: longer than the upload of the largest object takes. */
export const LEFTOVER_AGE_MS = 7 * 86_400_000;
