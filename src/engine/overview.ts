/**
 * Everything that a repository tells of itself: what `status` and the pages of the service show.
 *
 * @module
 */
import type {
  BackupManifest,
  Repository,
  UnfinishedBackup,
  UnreadableBackup,
} from "../catalog/catalog.ts";
import type { ObjectStore, ReadOptions } from "../storage/storage.ts";
import type { ArchiveView } from "./recovery/archive_view.ts";
import { viewNewestArchive } from "./recovery/plan_recovery.ts";
import { type StorageUse, storageUse } from "./storage_use.ts";
import { reportWal, type WalReport } from "./wal_report.ts";

/** What a repository holds of a cluster. */
export interface Overview {
  /** By stop time, oldest first; without their objects, unless asked for. */
  readonly backups: readonly BackupManifest[];
  readonly unreadable: readonly UnreadableBackup[];
  /** Folders of runs that are still going or were killed. */
  readonly unfinished: readonly UnfinishedBackup[];
  /** Links and their like, which were left out. */
  readonly foreign: readonly string[];
  /** What is archived; undefined when nothing is and no physical backup either. */
  readonly archive: { readonly view: ArchiveView; readonly report: WalReport } | undefined;
  /** By kind. */
  readonly storage: readonly StorageUse[];
}

/** Further ones help nobody. */
const MAX_FOREIGN = 100;

/**
 * Reads every manifest and lists the archive of the newest system. Memory grows with the backups
 * and the gaps, not with the objects.
 *
 * @throws {RepositoryError} when there is no repository.
 * @throws {StorageError} when the store cannot be asked.
 */
export async function readOverview(
  store: ObjectStore,
  { repository, now, withObjects = false, ...reading }: ReadOptions & {
    readonly repository: Repository;
    readonly now: Date;
    /** See {@link BackupsOptions.withObjects}. @default {false} */
    readonly withObjects?: boolean;
  },
): Promise<Overview> {
  const unreadable: UnreadableBackup[] = [];
  const unfinished: UnfinishedBackup[] = [];
  const foreign = new Set<string>();
  const onForeign = (path: string) => {
    if (foreign.size < MAX_FOREIGN) foreign.add(path);
  };
  const backups = await repository.backups({
    onUnreadable: (backup) => unreadable.push(backup),
    onUnfinished: (backup) => unfinished.push(backup),
    onForeign,
    withObjects,
    ...reading,
  });
  const { cluster } = repository;
  const view = await viewNewestArchive(store, { cluster, backups, onForeign, ...reading });
  const report = view && reportWal(view, { now });
  return {
    ...{ backups, unreadable, unfinished, foreign: [...foreign] },
    archive: view && report && { view, report },
    storage: storageUse({ backups, unfinished, ...(report && { wal: report }) }),
  };
}
