import { systemClock } from "../../domain/clock.ts";
import { UsageError } from "../../domain/errors.ts";
import { isWalSegmentBytes, parseWalName } from "../../domain/wal.ts";
import { AheadLink } from "../../engine/wal/ahead_link.ts";
import { awaitTaken, fetchAhead } from "../../engine/wal/fetch_ahead.ts";
import { PrefetchFolder } from "../../engine/wal/prefetch_folder.ts";
import { watchWalSettings } from "./read_wal_settings.ts";
import { settingsInput, type WalArguments } from "./wal_arguments.ts";
import {
  fetchOpen,
  openSpool,
  openStoreOf,
  runOf,
  type SessionInput,
  systemIdentifierOf,
} from "./wal_session.ts";

/** Ends when PostgreSQL takes nothing for so long. */
const IDLE_MS = 3_000;

/** What the process of its own does: `wal-fetch --ahead AFTER SEGMENT_BYTES DATA_DIRECTORY`. */
export async function runFetchAhead(session: SessionInput, parsed: WalArguments): Promise<void> {
  const { env, signal, clock = systemClock } = session;
  const [last = "", size = "", dataDirectory = ""] = parsed.positionals;
  const after = parseWalName(last);
  const segmentBytes = Number(size);
  const run = runOf(dataDirectory);
  if (after?.kind !== "segment" || !isWalSegmentBytes(segmentBytes) || run === undefined) {
    throw new UsageError("wal-fetch --ahead is started by wal-fetch alone");
  }
  const watched = await watchWalSettings(settingsInput(parsed, env));
  const { settings } = watched;
  const isCurrent = () => runOf(dataDirectory) === run && watched.isCurrent();
  const systemIdentifier = systemIdentifierOf(dataDirectory);
  const spool = openSpool(settings, { env, systemIdentifier });
  if (!spool) return;
  const place = { cluster: settings.cluster, systemIdentifier };
  const folder = new PrefetchFolder({ root: spool.prefetchRoot, run, place });
  folder.prepare();
  if (!folder.fetcher.light()) return;
  const link = new AheadLink(dataDirectory, Deno.realPathSync(folder.path));
  const limits = { idleMs: IDLE_MS, isCurrent, clock, signal };
  try {
    const { store } = await openStoreOf({ ...session, settings });
    const open = await fetchOpen(settings, store);
    link.lay();
    await fetchAhead({ store, place, folder, ...open }, {
      ...{ after, segmentBytes, lookAhead: settings.lookAhead },
      ...limits,
    });
  } finally {
    folder.fetcher.quench(); // nobody need wait for what will not come
  }
  await awaitTaken(folder, limits);
  if (!folder.fetcher.isLit) link.remove(); // else another one has laid it
}
