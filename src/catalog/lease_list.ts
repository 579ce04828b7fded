import { ObjectMissingError } from "../domain/errors.ts";
import type { ObjectStore, ReadOptions } from "../storage/storage.ts";
import {
  leaseKey,
  type LeaseRecord,
  leasesFolder,
  parseLease,
  parseLeaseKey,
} from "./lease_record.ts";
import { readTextObject } from "./read_object.ts";

/** More than any plan of removal has: 50 bytes a backup, 100 a range of the log. */
const LIMIT_BYTES = 64 * 1024 * 1024;

/** The newest record of a lease, as it stands in the store. */
export interface StoredLease extends LeaseRecord {
  /** `prune`, or the kind and a random name. */
  readonly name: string;
  /** Counts the records of the lease: the fencing token. */
  readonly number: number;
  /** When the store says it was written. */
  readonly storedAt: Date;
}

/**
 * The leases of a cluster that have not been given back, those that have run out among them.
 *
 * @param options.only the name of one lease.
 * @throws {RepositoryError} when one cannot be read: what it protects is not known.
 */
export async function listLeases(
  store: ObjectStore,
  cluster: string,
  options: ReadOptions & { readonly only?: string } = {},
): Promise<readonly StoredLease[]> {
  const all = await readNewest(store, cluster, options);
  return all.filter(({ released }) => !released);
}

/** The newest record of each lease, also of those that have been given back. */
export async function readNewest(
  store: ObjectStore,
  cluster: string,
  { only, ...reading }: ReadOptions & { readonly only?: string } = {},
): Promise<readonly StoredLease[]> {
  const prefix = leasesFolder(cluster) + (only === undefined ? "" : `${only}/`);
  const newest = new Map<string, { readonly number: number; readonly storedAt?: Date }>();
  for await (const { key, lastModified } of store.list(prefix, reading)) {
    const place = parseLeaseKey(cluster, key);
    if (!place || place.number < (newest.get(place.name)?.number ?? 0)) continue;
    newest.set(place.name, {
      number: place.number,
      ...(lastModified && { storedAt: lastModified }),
    });
  }
  const found: StoredLease[] = [];
  for (const [name, { number, storedAt }] of newest) {
    const record = await readRecord(store, leaseKey(cluster, name, number), reading);
    if (record) {
      found.push({ ...record, name, number, storedAt: storedAt ?? new Date(record.takenAt) });
    } else found.push(...await readNewest(store, cluster, { only: name, ...reading })); // renewed
  }
  return found;
}

/** Undefined when it is gone: its holder removes a record as soon as the next one stands. */
export async function readRecord(
  store: ObjectStore,
  key: string,
  reading: ReadOptions = {},
): Promise<LeaseRecord | undefined> {
  try {
    const text = await readTextObject(store, key, { ...reading, limit: LIMIT_BYTES });
    return parseLease(text, `${store.location}/${key}`);
  } catch (error) {
    if (error instanceof ObjectMissingError) return undefined;
    throw error;
  }
}

/** Whether a lease has run out. `graceMs` makes up for stores that count in whole seconds. */
export function isOver(
  { storedAt, durationMs }: Pick<StoredLease, "storedAt" | "durationMs">,
  { now, graceMs }: { readonly now: number; readonly graceMs: number },
): boolean {
  return now - storedAt.getTime() > durationMs + graceMs;
}

/** `prune of cluster main on host db1 (process 4711)`, for messages. */
export function describeHolder({ holder: { what, host, pid } }: LeaseRecord): string {
  return `${what} on host ${host} (process ${pid})`;
}
