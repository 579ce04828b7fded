/**
 * Carries a removal out. Whatever is cut off in between leaves only whole backups: what builds on
 * another goes before it, a backup's manifest before its objects, every backup before the log, and
 * the log from its oldest end.
 *
 * @module
 */
import type { HeldLease } from "../../catalog/catalog.ts";
import { RunFailedError } from "../../domain/errors.ts";
import { numberOfName, segmentName } from "../../domain/wal.ts";
import { parseWalKey, timelineFolder, walKey } from "../../domain/wal_key.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import type { JudgedWal } from "./prune_model.ts";
import type { PruneParts, Removal } from "./prune_parts.ts";

/** Keys of S3 in one request at most. */
const BATCH_KEYS = 1000;

/** What a removal is carried out with. */
export interface CarryOutOptions {
  readonly lease: HeldLease;
  /** By the store's clock. */
  readonly now: () => number;
  /** Aborted by the user, or when the lease is lost. */
  readonly signal: AbortSignal;
  /** Remove also what is pinned. @default {false} */
  readonly evenPinned?: boolean;
}

/**
 * Removes what the plan says.
 *
 * @returns how many segments were removed.
 * @throws {LeaseLostError} before the next removal when others may have taken over.
 */
export async function carryOut(
  parts: PruneParts,
  removal: Removal,
  options: CarryOutOptions,
): Promise<{ readonly removedSegments: number }> {
  const guarded = new Remover(parts.store, { ...options, batchKeys: parts.batchKeys });
  const { remove, leftovers } = removal;
  const going = remove.map(({ systemIdentifier, backup: { id } }) => ({ systemIdentifier, id }));
  if (going.length > 0) await parts.signRemoval?.(going, { signal: options.signal });
  for (const { systemIdentifier, backup } of remove) {
    const place = { systemIdentifier, id: backup.id };
    if (!options.evenPinned) await refusePinned(parts, place, options);
    await removeFolder(parts, place, guarded);
  }
  for (const { systemIdentifier, id } of leftovers) {
    await removeFolder(parts, { systemIdentifier, id }, guarded);
  }
  await guarded.remove(removal.sideFiles.map(({ key }) => key));
  return { removedSegments: await removeWal(parts, removal, guarded) };
}

interface Place {
  readonly systemIdentifier: string;
  readonly id: string;
}

/** Whoever pins a backup looks afterwards whether a removal has it on its list, and so do we. */
async function refusePinned(
  { notes }: PruneParts,
  place: Place,
  { now, signal }: CarryOutOptions,
): Promise<void> {
  const { pin } = await notes.of(place, { signal });
  if (!pin || (pin.until !== null && pin.until.getTime() <= now())) return;
  throw new RunFailedError(
    `backup ${place.id} was pinned while this ran; it and what it needs stay`,
    "run the command again for a plan that knows of it",
  );
}

async function removeFolder(
  { repository, notes }: PruneParts,
  place: Place,
  guarded: Remover,
): Promise<void> {
  const folder = `${repository.cluster}/${place.systemIdentifier}/backups/${place.id}/`;
  await guarded.remove([`${folder}backup.json`]);
  await guarded.removeListed(notes.folder(place), () => true);
  await guarded.removeListed(folder, () => true);
}

/** Oldest first, timeline by timeline, so that what is left reaches to the end without a hole. */
async function removeWal(
  { repository }: PruneParts,
  { wal, segmentBytes }: Removal,
  guarded: Remover,
): Promise<number> {
  let removed = 0;
  for (const row of rowsOf(wal.filter(({ keep }) => !keep))) {
    const place = { cluster: repository.cluster, systemIdentifier: row.systemIdentifier };
    const bytes = segmentBytes.get(row.systemIdentifier)!;
    const folder = timelineFolder(place, row.timeline);
    const isOfRow = (key: string) => {
      const name = parseWalKey(place, key);
      const number = name?.kind === "segment" ? numberOfName(name, bytes) : undefined;
      return number !== undefined && row.first <= number && number <= row.last;
    };
    removed += await guarded.removeListed(folder, isOfRow, {
      ...keysAround(row, (number) => keyOf(place, { timeline: row.timeline, number, bytes })),
    });
  }
  return removed;
}

function keyOf(
  place: { readonly cluster: string; readonly systemIdentifier: string },
  { timeline, number, bytes }: {
    readonly timeline: number;
    readonly number: number;
    readonly bytes: number;
  },
): string {
  const name = segmentName(timeline, number, bytes);
  const log = Number.parseInt(name.slice(8, 16), 16);
  const segment = Number.parseInt(name.slice(16), 16);
  return walKey(place, { kind: "segment", name, timeline, log, segment });
}

/** Listings begin behind a key and need not go on behind the last one. */
function keysAround(
  { first, last }: Row,
  key: (number: number) => string,
): { readonly startAfter?: string; readonly last: string } {
  return { ...(first > 0 && { startAfter: key(first - 1) }), last: key(last) };
}

interface Row {
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly first: number;
  readonly last: number;
}

/** Pieces that touch, joined. They come by system, timeline and number. */
export function rowsOf(pieces: readonly JudgedWal[]): readonly Row[] {
  const rows: Row[] = [];
  for (const { systemIdentifier, timeline, first, last } of pieces) {
    const before = rows.at(-1);
    const joins = before?.systemIdentifier === systemIdentifier &&
      before.timeline === timeline && before.last + 1 === first;
    if (joins) rows[rows.length - 1] = { ...before, last };
    else rows.push({ systemIdentifier, timeline, first, last });
  }
  return rows;
}

/** Removes keys, and looks at the lease before every request. */
class Remover {
  readonly #store: ObjectStore;
  readonly #lease: HeldLease;
  readonly #signal: AbortSignal;
  readonly #batchKeys: number;

  constructor(
    store: ObjectStore,
    { lease, signal, batchKeys = BATCH_KEYS }: Pick<CarryOutOptions, "lease" | "signal"> & {
      readonly batchKeys?: number | undefined;
    },
  ) {
    this.#store = store;
    this.#lease = lease;
    this.#signal = signal;
    this.#batchKeys = batchKeys;
  }

  async remove(keys: readonly string[]): Promise<void> {
    for (let at = 0; at < keys.length; at += this.#batchKeys) {
      this.#signal.throwIfAborted();
      await this.#lease.confirm();
      this.#lease.check();
      await this.#store.delete(keys.slice(at, at + this.#batchKeys), {
        signal: this.#signal,
        guard: () => this.#lease.check(),
      });
    }
  }

  /** Memory holds one batch of keys, whatever the length of the listing. */
  async removeListed(
    prefix: string,
    isMeant: (key: string) => boolean,
    { startAfter, last }: { readonly startAfter?: string; readonly last?: string } = {},
  ): Promise<number> {
    let removed = 0;
    let batch: string[] = [];
    const options = { signal: this.#signal, ...(startAfter !== undefined && { startAfter }) };
    for await (const { key } of this.#store.list(prefix, options)) {
      if (last !== undefined && key > last) break;
      if (!isMeant(key)) continue;
      batch.push(key);
      removed += 1;
      if (batch.length < BATCH_KEYS) continue;
      await this.remove(batch);
      batch = [];
    }
    await this.remove(batch);
    return removed;
  }
}
