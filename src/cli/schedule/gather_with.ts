import type { RunRecord } from "../../catalog/catalog.ts";
import type { LoadedConfig } from "../../config/config.ts";
import { gatherSnapshot, type RepositorySnapshot } from "../../service/service.ts";
import type { ScheduleLedger, Scheduler, ServiceSnapshot } from "../../service/service.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import type { Context } from "../context.ts";
import { openCatalog, openMetadata, openServer, resolveServer } from "../open_parts.ts";
import { withoutStderr } from "../terminal.ts";
import { VERSION } from "../version.ts";

/** Runs of the catalogue that are looked at. */
const RUNS = 200;
/** Seconds that a connection may take. */
const CONNECT = 5;

/** What a daemon knows when it gathers. */
export interface GatherContext {
  readonly context: Context;
  readonly store: ObjectStore;
  readonly scheduler: Scheduler;
  readonly ledger: ScheduleLedger;
  readonly loaded: LoadedConfig;
  readonly configFault: string | undefined;
}

/** The question that a SnapshotKeeper asks; `parts` are read anew each time. */
export function gatherWith(
  parts: GatherContext,
): (signal: AbortSignal) => Promise<ServiceSnapshot> {
  return async (signal) => {
    const { context, store, scheduler, ledger } = parts;
    const { config } = parts.loaded;
    // Warnings about the connection were told when the daemon's runs began; not each minute.
    const quiet = { ...context, terminal: withoutStderr(context.terminal) };
    return await gatherSnapshot({
      repository: await openCatalog(store, config),
      ...{ store, clock: context.clock, host: Deno.hostname(), version: VERSION },
      openServer: async () => {
        const connection = await resolveServer(config, quiet);
        return await openServer({ ...connection, connectTimeout: CONNECT });
      },
      recentRuns: () => recentRuns(config, quiet),
      disk: () => freeDisk(config),
      schedule: () => scheduler.snapshot(),
      leader: () => ({ here: ledger.leads, holder: ledger.holder }),
      configFault: () => parts.configFault,
    }, signal);
  };
}

async function recentRuns(
  config: LoadedConfig["config"],
  context: Context,
): Promise<readonly RunRecord[]> {
  const metadata = await openMetadata(config, context);
  if (!metadata) return [];
  try {
    return await metadata.index.recentRuns(RUNS);
  } finally {
    await metadata.close();
  }
}

async function freeDisk(
  { repository }: LoadedConfig["config"],
): Promise<RepositorySnapshot["disk"]> {
  if (repository.type !== "directory") return undefined;
  const { statfs } = await import("node:fs/promises");
  try {
    const { bavail, blocks, bsize } = await statfs(repository.path!);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  } catch {
    return undefined;
  }
}
