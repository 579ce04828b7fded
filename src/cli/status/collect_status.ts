import type { IndexFigures } from "../../catalog/metadata_manager.ts";
import type { Config } from "../../config/config.ts";
import { BackupctlError } from "../../domain/errors.ts";
import { type Overview, readOverview } from "../../engine/overview.ts";
import { askArchiver, type ServerReport } from "../ask_archiver.ts";
import type { Context } from "../context.ts";
import { openCatalog, openerOf, openMetadata, openStore } from "../open_parts.ts";
import { loadSettings } from "../session.ts";
import { readSurroundings, type Surroundings } from "./backup_facts.ts";

/** Everything that `status` shows. */
export interface StatusFound extends Overview, Surroundings {
  readonly cluster: string;
  readonly location: string;
  /** When it was asked. */
  readonly now: Date;
  /** What only the server knows; a text: why it did not say. */
  readonly server: ServerReport | string;
  /** What only the index knows; a text: why it did not say. Undefined: there is none. */
  readonly figures: IndexFigures | string | undefined;
}

/** The repository says all that matters; the server and its index may add to it if they are quick. */
const PATIENCE_MS = 3000;

/**
 * Reads the repository, and asks the server and the index meanwhile: they may be gone.
 *
 * @throws {RepositoryError} when there is no repository.
 * @throws {StorageError} when the store cannot be asked.
 */
export async function collectStatus(context: Context): Promise<StatusFound> {
  const { config } = await loadSettings(context);
  const now = context.clock.now();
  const server = quickly(() => askArchiver(config, quiet(context)));
  const figures = quickly(() => askIndex(config, quiet(context)));
  const store = await openStore(config);
  try {
    const { signal } = context;
    const repository = await openCatalog(store, config);
    const { cluster, location } = repository;
    const overview = await readOverview(store, { repository, now, signal });
    const { backups } = overview;
    const opener = await openerOf(config);
    const around = await readSurroundings(store, {
      ...{ cluster, backups, now, signal },
      ...(opener && { opener }),
    });
    const asked = { server: await server, figures: await figures };
    return { cluster, location, now, ...overview, ...around, ...asked };
  } finally {
    await store.close?.();
  }
}

async function askIndex(config: Config, context: Context): Promise<IndexFigures | undefined> {
  const metadata = await openMetadata(config, context);
  try {
    return await metadata?.index.figures();
  } finally {
    await metadata?.close();
  }
}

/** The answer, or in words why there is none. */
async function quickly<T>(ask: () => Promise<T>): Promise<T | string> {
  const { promise: late, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve("it did not answer in time"), PATIENCE_MS);
  const answer = ask().catch((error) => {
    if (error instanceof BackupctlError) return error.message;
    throw error;
  });
  answer.catch(() => {}); // thrown below, or nobody waits for it any more
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Warnings about a connection that nobody asked for would only be in the way. */
function quiet(context: Context): Context {
  const { terminal } = context;
  return {
    ...context,
    terminal: {
      ...terminal,
      stderr: {
        isTerminal: false,
        color: false,
        columns: () => undefined,
        write: () => {},
        closed: false,
      },
    },
  };
}
