import { ObjectExistsError, StorageError } from "../domain/errors.ts";
import type { ObjectStore, ReadOptions } from "./storage.ts";

/** Which conditions a store keeps. Some ignore them silently, and then two writers both win. */
export interface ConditionalPut {
  /** Whether an object that is there stops a put with `ifAbsent`. */
  readonly ifAbsent: boolean;
  /** Whether an object of another etag stops a put with `ifMatch`. */
  readonly ifMatch: boolean;
  /** False: these credentials may not remove objects, and the one of the probe stays. */
  readonly removable: boolean;
}

/** What stays where nothing may be removed is used again, so that it stays alone. */
const PREFIX = "conditional-put-probe-";
/** A younger one may belong to a probe that is under way. */
const LEFT_BEHIND_MS = 3_600_000;

/**
 * Tries the conditions of `put` with an object of its own, which it removes again.
 *
 * @throws {StorageError} when the store cannot be written to at all.
 */
export async function probeConditionalPut(
  store: ObjectStore,
  { signal, now }: ReadOptions & { readonly now?: Date } = {},
): Promise<ConditionalPut> {
  const options = signal === undefined ? {} : { signal };
  const left = now && await leftBehind(store, { now, ...options });
  const key = left ?? PREFIX + crypto.randomUUID();
  const attempt = (condition: { readonly ifAbsent?: boolean; readonly ifMatch?: string }) =>
    isRefused(() => store.put(key, new TextEncoder().encode("2"), { ...condition, ...options }));
  try {
    const { etag } = await store.put(key, new TextEncoder().encode("1"), options);
    const ifAbsent = await attempt({ ifAbsent: true });
    const ifMatch = etag !== undefined && await attempt({ ifMatch: `${etag.slice(0, -1)}x"` });
    return { ifAbsent, ifMatch, removable: await remove(store, key, options) };
  } catch (error) {
    await store.delete([key]).catch(() => {}); // what put failed with says more
    throw error;
  }
}

/** The probe of an earlier run that was not allowed to remove it. */
async function leftBehind(
  store: ObjectStore,
  { now, ...options }: ReadOptions & { readonly now: Date },
): Promise<string | undefined> {
  for await (
    const { key, lastModified } of store.list(PREFIX, { onForeign: () => {}, ...options })
  ) {
    if (lastModified && now.getTime() - lastModified.getTime() > LEFT_BEHIND_MS) return key;
  }
  return undefined;
}

/** @returns false when the store refuses. */
async function remove(store: ObjectStore, key: string, options: ReadOptions): Promise<boolean> {
  try {
    await store.delete([key], options);
    return true;
  } catch (error) {
    if (error instanceof StorageError && error.code === "STORAGE_REFUSED") return false;
    throw error;
  }
}

/** A store that answers "not implemented" writes nothing, but the condition is of no use there. */
async function isRefused(put: () => Promise<unknown>): Promise<boolean> {
  try {
    await put();
    return false;
  } catch (error) {
    if (error instanceof ObjectExistsError) return true;
    if (error instanceof StorageError && /NotImplemented/.test(error.message)) return false;
    throw error;
  }
}
