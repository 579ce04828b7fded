import { ObjectExistsError, StorageError } from "../domain/errors.ts";
import type { ObjectStore, ReadOptions } from "./storage.ts";

/** Which conditions a store keeps. Some ignore them silently, and then two writers both win. */
export interface ConditionalPut {
  /** Whether an object that is there stops a put with `ifAbsent`. */
  readonly ifAbsent: boolean;
  /** Whether an object of another etag stops a put with `ifMatch`. */
  readonly ifMatch: boolean;
}

/**
 * Tries the conditions of `put` with an object of its own, which it removes again.
 *
 * @throws {StorageError} when the store cannot be written to at all.
 */
export async function probeConditionalPut(
  store: ObjectStore,
  { signal }: ReadOptions = {},
): Promise<ConditionalPut> {
  const key = `conditional-put-probe-${crypto.randomUUID()}`;
  const options = signal === undefined ? {} : { signal };
  const attempt = (condition: { readonly ifAbsent?: boolean; readonly ifMatch?: string }) =>
    isRefused(() => store.put(key, new TextEncoder().encode("2"), { ...condition, ...options }));
  try {
    const { etag } = await store.put(key, new TextEncoder().encode("1"), options);
    const ifAbsent = await attempt({ ifAbsent: true });
    const ifMatch = etag !== undefined && await attempt({ ifMatch: `${etag.slice(0, -1)}x"` });
    await store.delete([key], options);
    return { ifAbsent, ifMatch };
  } catch (error) {
    await store.delete([key]).catch(() => {}); // what put failed with says more
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
