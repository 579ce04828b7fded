import type { Config } from "../config/config.ts";
import { NothingMatchesError } from "../domain/errors.ts";
import type { ArchiveView } from "../engine/recovery/archive_view.ts";
import { viewNewestArchive } from "../engine/recovery/plan_recovery.ts";
import type { ObjectStore } from "../storage/storage.ts";
import type { Context } from "./context.ts";
import { openCatalog, openStore } from "./open_parts.ts";
import { loadSettings } from "./session.ts";

/** The archive of the newest system, as long as its store is open. */
export interface OpenArchive {
  readonly config: Config;
  readonly store: ObjectStore;
  readonly view: ArchiveView;
}

/**
 * Opens the archive that the configuration names, works with it and closes it again.
 *
 * @throws {NothingMatchesError} when there is none.
 */
export async function withArchive<T>(
  context: Context,
  use: (archive: OpenArchive) => Promise<T>,
): Promise<T> {
  const { config } = await loadSettings(context);
  const store = await openStore(config);
  try {
    const { signal } = context;
    const repository = await openCatalog(store, config);
    const backups = await repository.backups({ withObjects: false, signal });
    const view = await viewNewestArchive(store, { cluster: config.cluster, backups, signal });
    if (view) return await use({ config, store, view });
    throw new NothingMatchesError(
      `cluster ${config.cluster} has neither a physical backup nor archived WAL in ` +
        repository.location,
      'set archive_command = "backupctl wal-push %p", then take "backup full --method physical"',
    );
  } finally {
    await store.close?.();
  }
}
