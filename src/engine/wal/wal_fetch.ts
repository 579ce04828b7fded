import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError, KeyError, ObjectMissingError, StorageError } from "../../domain/errors.ts";
import { isSealed } from "../../domain/sealed_form.ts";
import { parseTimelineHistory, timelineStart } from "../../domain/timeline_history.ts";
import {
  numberOfName,
  segmentNumber,
  timelineHistoryName,
  type WalName,
} from "../../domain/wal.ts";
import {
  parseWalKey,
  timelineFolder,
  walFolder,
  walKey,
  type WalPlace,
} from "../../domain/wal_key.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import { checkWalHeader, type WalHeader } from "./wal_header.ts";
import { decodeWal, digestOf, type WalOpen } from "./wal_object.ts";
import { readStored } from "./wal_push.ts";

/** What fetching needs of the world. */
export interface WalFetchParts {
  readonly store: ObjectStore;
  readonly place: WalPlace;
  /** Absent: what is encrypted cannot be fetched. */
  readonly open?: WalOpen;
}

/** A file of the archive, compared with everything that is known of it. */
export interface FetchedWal {
  readonly bytes: Bytes;
  readonly storedBytes: number;
  /** Of segments. */
  readonly header: WalHeader | undefined;
}

/** A broken transfer is begun again; damage that is still there the second time is real. */
const MAX_ATTEMPTS = 3;

/**
 * Reads a file of the archive and verifies it.
 *
 * @returns undefined when the store itself says that it is absent, and nothing behind it is there.
 * @throws {IntegrityError} when it is damaged, or missing between others.
 * @throws {StorageError} when the store cannot be asked.
 */
export async function fetchWal(
  parts: WalFetchParts,
  name: WalName,
  signal?: AbortSignal,
): Promise<FetchedWal | undefined> {
  for (let attempt = 1;; attempt++) {
    try {
      return await fetchOnce(parts, name, signal);
    } catch (error) {
      if (error instanceof ObjectMissingError) {
        await refuseGap(parts, name, signal);
        return undefined;
      }
      const again = error instanceof IntegrityError || error instanceof StorageError;
      if (!again || attempt === MAX_ATTEMPTS || signal?.aborted) throw error;
    }
  }
}

async function fetchOnce(
  { store, place, open }: WalFetchParts,
  name: WalName,
  signal: AbortSignal | undefined,
): Promise<FetchedWal> {
  const key = walKey(place, name);
  const reading = signal ? { signal } : {};
  const looking = store.head(key, reading);
  looking.catch(() => {}); // awaited below; the reading may fail first
  const stored = await readStored(await store.get(key, reading), key);
  const info = await looking;
  if (info && info.size !== stored.length) {
    throw new IntegrityError(`${key} has ${stored.length} bytes, the store says ${info.size}`);
  }
  const bytes = isSealed(stored)
    ? decodeWal(name, { stored: await opened(key, { stored, open }), expected: undefined })
    : decodeWal(name, { stored, expected: info && digestOf(info) });
  return { bytes, storedBytes: stored.length, header: checkFetched(name, { bytes, place }) };
}

/** Where it was sealed, every byte was authenticated: there is nothing more to compare. */
async function opened(
  key: string,
  { stored, open }: { readonly stored: Bytes; readonly open: WalOpen | undefined },
): Promise<Bytes> {
  if (open) return await open(key, stored);
  throw new KeyError(
    `${key} is encrypted, and no identity is given`,
    "name a file with it: encryption.identity_file, or --identity FILE in restore_command",
  );
}

/** The last look before PostgreSQL gets it, which itself checks only the size. */
export function checkFetched(
  name: WalName,
  { bytes, place }: { readonly bytes: Bytes; readonly place: WalPlace },
): WalHeader | undefined {
  const { systemIdentifier } = place;
  if (name.kind === "segment" || name.kind === "partial") {
    return checkWalHeader(bytes, { name, fileBytes: bytes.length, systemIdentifier });
  }
  if (name.kind === "history") {
    parseTimelineHistory(name.timeline, new TextDecoder().decode(bytes));
  }
  return undefined;
}

/**
 * A segment that is absent while later ones of its timeline are there is no end of the log: going on
 * without it would lose what they hold.
 *
 * @throws {IntegrityError}
 */
async function refuseGap(
  parts: WalFetchParts,
  name: WalName,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (name.kind !== "segment") return;
  const later = await laterSegment(parts, name, signal);
  if (later === undefined || await isBeforeTimeline(parts, { name, later, signal })) return;
  throw new IntegrityError(
    `WAL segment ${name.name} is missing in the archive, ${later.name} is there`,
    "restore to a moment before the gap, or from a backup behind it",
  );
}

async function laterSegment(
  { store, place }: WalFetchParts,
  name: WalName,
  signal: AbortSignal | undefined,
): Promise<(WalName & { readonly kind: "segment" }) | undefined> {
  const startAfter = walKey(place, name);
  const prefix = timelineFolder(place, name.timeline);
  for await (const { key } of store.list(prefix, { startAfter, ...(signal && { signal }) })) {
    const found = parseWalKey(place, key);
    if (found?.kind === "segment" && found.name > name.name) return found;
  }
  return undefined;
}

/** PostgreSQL may ask for a segment of a timeline that only began later: no gap. */
async function isBeforeTimeline(
  { store, place, open }: WalFetchParts,
  { name, later, signal }: {
    readonly name: WalName & { readonly kind: "segment" };
    readonly later: WalName & { readonly kind: "segment" };
    readonly signal: AbortSignal | undefined;
  },
): Promise<boolean> {
  if (name.timeline === 1) return false;
  const reading = signal ? { signal } : {};
  const historyKey = walFolder(place) + timelineHistoryName(name.timeline);
  try {
    const stored = await readStored(await store.get(historyKey, reading), historyKey);
    const bytes = isSealed(stored) ? await opened(historyKey, { stored, open }) : stored;
    const history = parseTimelineHistory(name.timeline, new TextDecoder().decode(bytes));
    const start = timelineStart(history, name.timeline)!;
    const { header } = await fetchOnce({ store, place, ...(open && { open }) }, later, signal);
    const number = numberOfName(name, header!.segmentBytes);
    return number !== undefined && number < segmentNumber(start, header!.segmentBytes);
  } catch (error) {
    if (error instanceof ObjectMissingError) return false;
    throw error;
  }
}
