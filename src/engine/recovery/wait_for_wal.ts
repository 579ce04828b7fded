import type { Clock } from "../../domain/clock.ts";
import { RunFailedError } from "../../domain/errors.ts";
import type { Lsn } from "../../domain/lsn.ts";
import { mapLimited } from "../../domain/map_limited.ts";
import { pause } from "../../domain/pause.ts";
import { lastSegmentNumber, parseWalName, segmentName, segmentNumber } from "../../domain/wal.ts";
import { walKey, type WalPlace } from "../../domain/wal_key.ts";
import type { ObjectStore, ReadOptions } from "../../storage/storage.ts";

/** Which segments must be there before a backup is committed. */
export interface WaitForWalOptions extends ReadOptions {
  readonly place: WalPlace;
  readonly timeline: number;
  readonly startLsn: Lsn;
  readonly stopLsn: Lsn;
  readonly segmentBytes: number;
  /** Milliseconds. */
  readonly timeout: number;
  readonly clock: Clock;
  /** Called when it has to wait, with the number of segments that are missing. */
  readonly onWait?: (missing: number) => void;
  /** What the server says of its archiver, for the message; its failure is passed over. */
  readonly archiver?: () => Promise<string | undefined>;
}

/** Questions to the store at a time. */
const HEADS_AT_ONCE = 8;
/** Segments asked for in one round: a backup of a day may need thousands. */
const ROUND = 64;
/** Milliseconds between two rounds, at first and at most. */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [250, 5_000];

/**
 * Waits until every segment from the start to the stop of a physical backup is in the repository.
 * The store itself is asked: an archiver's word that it has stored something is not enough.
 *
 * @throws {RunFailedError} when the time is up, naming what is missing.
 * @throws {StorageError} when the store cannot be asked.
 */
export async function waitForWal(store: ObjectStore, options: WaitForWalOptions): Promise<void> {
  const { clock, timeout, signal, onWait } = options;
  const deadline = clock.monotonic() + timeout;
  let missing = neededSegments(options);
  for (let wait = FIRST_PAUSE_MS;; wait = Math.min(wait * 1.5, LONGEST_PAUSE_MS)) {
    missing = await stillMissing(store, missing, options);
    if (missing.length === 0) return;
    const left = deadline - clock.monotonic();
    if (left <= 0) throw await tooLate(missing, options);
    onWait?.(missing.length);
    await pause(Math.min(wait, left), signal);
  }
}

/** The names of the segments that a backup's log lies in. */
export function neededSegments(
  { timeline, startLsn, stopLsn, segmentBytes }: Pick<
    WaitForWalOptions,
    "timeline" | "startLsn" | "stopLsn" | "segmentBytes"
  >,
): readonly string[] {
  const first = segmentNumber(startLsn, segmentBytes);
  const last = Math.max(first, lastSegmentNumber(stopLsn, segmentBytes));
  return Array.from(
    { length: last - first + 1 },
    (_, index) => segmentName(timeline, first + index, segmentBytes),
  );
}

/** Asks for the first ones; where some of them are missing, later ones need not be asked for. */
async function stillMissing(
  store: ObjectStore,
  names: readonly string[],
  { place, signal }: WaitForWalOptions,
): Promise<readonly string[]> {
  for (let from = 0; from < names.length; from += ROUND) {
    const round = names.slice(from, from + ROUND);
    const found = await mapLimited(
      round,
      HEADS_AT_ONCE,
      async (name) =>
        await store.head(walKey(place, parseWalName(name)!), signal ? { signal } : {}) !==
          undefined,
    );
    const missing = round.filter((_, index) => !found[index]);
    if (missing.length > 0) return [...missing, ...names.slice(from + ROUND)];
  }
  return [];
}

async function tooLate(
  missing: readonly string[],
  { timeout, archiver }: WaitForWalOptions,
): Promise<RunFailedError> {
  const said = await archiver?.().catch(() => undefined);
  const [first, last] = [missing[0]!, missing.at(-1)!];
  const what = missing.length === 1
    ? `WAL segment ${first} of the backup is`
    : `${missing.length} WAL segments of the backup, ${first} to ${last}, are`;
  return new RunFailedError(
    `${what} not in the repository after ${Math.round(timeout / 1000)} s` +
      (said ? `: ${said}` : ""),
    "is archive_command working? The server's log and pg_stat_archiver tell; --wait-wal waits longer",
  );
}
