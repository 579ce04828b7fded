import type { BackupManifest, Repository } from "../catalog/catalog.ts";
import type { ObjectStore } from "../storage/storage.ts";

/** What is asked of {@link absentObjects}. */
export interface AbsentQuestion {
  readonly store: ObjectStore;
  readonly repository: Repository;
  /** Logical only: the dumps of other databases are not looked for. */
  readonly databases?: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Compares a backup's manifest with a listing of its folder: a request for each 1000 objects, and
 * nothing is fetched.
 *
 * @returns a sentence for each object that is missing or has another length.
 */
export async function absentObjects(
  backup: BackupManifest,
  { store, repository, databases, signal }: AbsentQuestion,
): Promise<readonly string[]> {
  const folder = repository.folder(backup);
  const sizes = new Map<string, number>();
  for await (const { key, size } of store.list(folder, signal ? { signal } : {})) {
    sizes.set(key, size);
  }
  const needed = backup.objects.filter(({ database }) =>
    database === undefined || databases === undefined || databases.includes(database)
  );
  return needed.flatMap(({ key, storedBytes }) => {
    const size = sizes.get(folder + key);
    if (size === undefined) return [`object ${key} is missing`];
    return size === storedBytes
      ? []
      : [`object ${key} has ${size} bytes, ${storedBytes} were stored`];
  });
}
