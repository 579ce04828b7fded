import { systemClock } from "../../domain/clock.ts";
import { UsageError } from "../../domain/errors.ts";
import { isWalSegmentBytes, parseWalName } from "../../domain/wal.ts";
import { fetchAhead } from "../../engine/wal/fetch_ahead.ts";
import { PrefetchFolder } from "../../engine/wal/prefetch_folder.ts";
import { fetchOpen, openSpool, openStoreOf, type SessionInput } from "./wal_session.ts";

/** Ends when PostgreSQL takes nothing for so long. */
const IDLE_MS = 3_000;

/** What the process of its own does: `wal-fetch --ahead AFTER SEGMENT_BYTES SYSTEM RUN`. */
export async function runFetchAhead(
  input: SessionInput,
  [last = "", size = "", systemIdentifier = "", run = ""]: readonly string[],
): Promise<void> {
  const { settings, env, signal, clock = systemClock } = input;
  const after = parseWalName(last);
  const segmentBytes = Number(size);
  if (after?.kind !== "segment" || !isWalSegmentBytes(segmentBytes) || !/^[0-9a-f]+$/.test(run)) {
    throw new UsageError("wal-fetch --ahead is started by wal-fetch alone");
  }
  const spool = openSpool(settings, { env, systemIdentifier });
  if (!spool) return;
  const place = { cluster: settings.cluster, systemIdentifier };
  const folder = new PrefetchFolder({ root: spool.prefetchRoot, run, place });
  folder.prepare();
  if (!folder.fetcher.light()) return;
  try {
    const { store } = await openStoreOf(input);
    const open = await fetchOpen(settings, store);
    await fetchAhead({ store, place, folder, ...open }, {
      ...{ after, segmentBytes, clock, signal },
      ...{ lookAhead: settings.lookAhead, idleMs: IDLE_MS },
    });
  } finally {
    folder.fetcher.quench();
  }
}
