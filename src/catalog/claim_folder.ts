import { ObjectExistsError, ObjectMissingError } from "../domain/errors.ts";
import type { ObjectStore, ReadOptions } from "../storage/storage.ts";
import { readTextObject } from "./read_object.ts";

/** The object by which a run holds its backup's folder until the manifest stands there. */
export const CLAIM_NAME = "claim";

const LIMIT_BYTES = 4096;

/**
 * Takes an empty folder for one run. Runs of several hosts may begin in the same second, and all of
 * them find it empty: the conditional put lets one win. The listing behind it sees the run that
 * took, filled and freed the folder between our look and our put.
 *
 * @param folder with the slash at its end.
 * @returns false when somebody else has it; then nothing of ours is in it.
 */
export async function claimFolder(
  store: ObjectStore,
  folder: string,
  { signal }: ReadOptions = {},
): Promise<boolean> {
  const key = folder + CLAIM_NAME;
  const token = crypto.randomUUID();
  // Not to be interrupted: whether it was written must be known, to be able to remove it.
  if (!await putToken(store, key, token)) return false;
  try {
    for await (const { key: found } of store.list(folder, signal ? { signal } : {})) {
      if (found !== key) return await freeFolder(store, folder).then(() => false);
    }
    signal?.throwIfAborted();
    return true;
  } catch (error) {
    await freeFolder(store, folder);
    throw error;
  }
}

/** Removes the claim. Never throws: what stays of it harms nobody. */
export async function freeFolder(store: ObjectStore, folder: string): Promise<void> {
  await store.delete([folder + CLAIM_NAME]).catch(() => {});
}

/** Reads it back, for stores that ignore conditions: there the last writer wins. */
async function putToken(store: ObjectStore, key: string, token: string): Promise<boolean> {
  try {
    await store.put(key, new TextEncoder().encode(token), { ifAbsent: true });
  } catch (error) {
    // It may be our own, when the reply to a first try was lost.
    if (!(error instanceof ObjectExistsError)) throw error;
  }
  try {
    return await readTextObject(store, key, { limit: LIMIT_BYTES }) === token;
  } catch (error) {
    if (error instanceof ObjectMissingError) return false; // its owner is done with it
    throw error;
  }
}
