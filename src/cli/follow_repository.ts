import type { MetadataManager } from "../catalog/metadata_manager.ts";
import type { Config } from "../config/config.ts";
import { BackupctlError } from "../domain/errors.ts";
import type { Log } from "../log/log.ts";
import { readOverview } from "../engine/overview.ts";
import type { Context } from "./context.ts";
import { openCatalog, openStore } from "./open_parts.ts";

/** A repository that takes longer to list is followed by `catalog rebuild` alone. */
const PATIENCE_MS = 30_000;

/**
 * Makes the index equal to the repository after a run that changed it, whoever else did, too, and
 * adds a sample of how much room it takes. Never throws: the next run tries again.
 */
export async function followRepository(
  index: MetadataManager,
  { config, context, log }: {
    readonly config: Config;
    readonly context: Context;
    readonly log: Log;
  },
): Promise<void> {
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(PATIENCE_MS)]);
  try {
    const store = await openStore(config);
    try {
      const repository = await openCatalog(store, config);
      const now = context.clock.now();
      const since = await index.serverTime();
      const found = await readOverview(store, { repository, now, withObjects: true, signal });
      // One that cannot be read now is not gone.
      const whole = found.unreadable.length + found.foreign.length === 0;
      if (whole) await index.replaceBackups(found.backups, { since });
      const uses = found.storage.map((use) => ({ ...use, rawBytes: use.rawBytes ?? null }));
      await index.recordStorage({ cluster: config.cluster, at: now.toISOString(), uses });
    } finally {
      await store.close?.();
    }
  } catch (error) {
    if (!(error instanceof BackupctlError) && !signal.aborted) throw error;
    log.debug("catalog.not_recorded", `the index was not compared with the repository: ${error}`, {
      cluster: config.cluster,
    });
  }
}
