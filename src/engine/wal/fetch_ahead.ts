import type { Clock } from "../../domain/clock.ts";
import { nextSegmentName, parseWalName, type WalSegmentName } from "../../domain/wal.ts";
import { prefetchCount, type PrefetchFolder } from "./prefetch_folder.ts";
import type { WalFetchParts } from "./read_archived.ts";
import { fetchWal } from "./wal_fetch.ts";

/** Transfers under way at a time. */
const TRANSFERS = 3;
const LOOK_MS = 10;
/** What is under way when PostgreSQL asks for nothing any more may still come, over a slow line. */
const GRACE_MS = 30_000;

/** How a run ahead of recovery is bounded. */
export interface FetchAheadOptions {
  /** The segment that was fetched last. */
  readonly after: WalSegmentName;
  readonly segmentBytes: number;
  /** How many may wait for PostgreSQL to ask. */
  readonly lookAhead: number;
  /** Ends when PostgreSQL takes nothing for so many milliseconds. */
  readonly idleMs: number;
  /** What is under way then is given up after so many more: nobody waits for it. @default {30000} */
  readonly graceMs?: number;
  /** Whether what this run was begun with still holds. */
  readonly isCurrent?: () => boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Fetches the segments that recovery asks for next, one timeline's in order, until one is absent or
 * cannot be had: its own call then tells why.
 *
 * @returns how many were fetched.
 */
export async function fetchAhead(
  parts: WalFetchParts & { readonly folder: PrefetchFolder },
  options: FetchAheadOptions,
): Promise<number> {
  const { segmentBytes, lookAhead, clock, graceMs = GRACE_MS, isCurrent = () => true } = options;
  const giveUp = new AbortController();
  const signal = AbortSignal.any([options.signal, giveUp.signal]);
  const room = prefetchCount(lookAhead, segmentBytes);
  const transfers = new Set<Promise<void>>();
  let [fetched, ended] = [0, false];
  let name = following(options.after, segmentBytes);
  const look = watch(parts.folder, options);
  while (!ended && !signal.aborted && isCurrent()) {
    const { waiting, isIdle } = look();
    if (isIdle) break;
    if (waiting + transfers.size >= room || transfers.size >= TRANSFERS) {
      await change(transfers);
      continue;
    }
    const transfer = fetchOne(parts, name, signal).then((found) => {
      if (found) fetched += 1;
      else ended = true;
    });
    transfers.add(transfer);
    void transfer.then(() => transfers.delete(transfer));
    name = following(name, segmentBytes);
  }
  for (const until = clock.monotonic() + graceMs; transfers.size > 0;) {
    if (!isCurrent() || clock.monotonic() >= until) giveUp.abort();
    await change(transfers);
  }
  return fetched;
}

/** Until PostgreSQL has taken all that waits, or takes nothing any more. */
export async function awaitTaken(
  folder: PrefetchFolder,
  options: Pick<FetchAheadOptions, "idleMs" | "isCurrent" | "clock" | "signal">,
): Promise<void> {
  const { isCurrent = () => true, signal } = options;
  const look = watch(folder, options);
  while (!signal.aborted && isCurrent()) {
    const { waiting, isIdle } = look();
    if (waiting === 0 || isIdle) return;
    await change(new Set());
  }
}

/** How many wait, and whether that has been so for as long as PostgreSQL is waited for. */
function watch(
  folder: PrefetchFolder,
  { idleMs, clock }: Pick<FetchAheadOptions, "idleMs" | "clock">,
): () => { readonly waiting: number; readonly isIdle: boolean } {
  let moved = { at: clock.monotonic(), waiting: -1 };
  return () => {
    const waiting = folder.names().length;
    if (waiting !== moved.waiting) moved = { at: clock.monotonic(), waiting };
    return { waiting, isIdle: clock.monotonic() - moved.at >= idleMs };
  };
}

/** Whether it was there. Never throws. */
async function fetchOne(
  { folder, ...parts }: WalFetchParts & { readonly folder: PrefetchFolder },
  name: WalSegmentName,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    if (folder.names().includes(name.name)) return true;
    return await fetchWal(parts, name, { destination: folder.pathOf(name), signal }) !== undefined;
  } catch {
    return false;
  }
}

/** A transfer that ends, or a little time in which PostgreSQL may have taken one. */
async function change(transfers: ReadonlySet<Promise<void>>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, LOOK_MS);
  await Promise.race([...transfers, promise]);
  clearTimeout(timer);
}

function following(name: WalSegmentName, segmentBytes: number): WalSegmentName {
  return parseWalName(nextSegmentName(name, segmentBytes)) as WalSegmentName;
}
