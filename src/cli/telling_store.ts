import { StorageError } from "../domain/errors.ts";
import type { ObjectStore } from "../storage/storage.ts";

/**
 * A store that says once when it does not remove something. Runs clean up behind themselves, and
 * go on when they may not: with credentials that cannot remove anything that is as it should be,
 * and otherwise somebody has to know.
 *
 * @param tell hears why, the first time.
 */
export function tellingRefusedDeletes(
  store: ObjectStore,
  tell: (error: StorageError) => void,
): ObjectStore {
  let told = false;
  const { abortUploads, close, copy } = store;
  return {
    location: store.location,
    put: (key, body, options) => store.put(key, body, options),
    get: (key, options) => store.get(key, options),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    async delete(keys, options) {
      try {
        await store.delete(keys, options);
      } catch (error) {
        if (error instanceof StorageError && !told) tell(error);
        told = true;
        throw error;
      }
    },
    ...(copy && { copy: copy.bind(store) }),
    ...(abortUploads && { abortUploads: abortUploads.bind(store) }),
    ...(close && { close: close.bind(store) }),
  };
}
