import { LeaseLostError, StorageError } from "../domain/errors.ts";
import { attempt, isAbsence } from "./directory_errors.ts";
import type { DirectoryMetadata } from "./directory_metadata.ts";
import type { DirectoryTree } from "./directory_tree.ts";
import type { DeleteOptions } from "./storage.ts";

/** What objects are removed from. */
export interface RemovalPlace {
  readonly location: string;
  readonly tree: DirectoryTree;
  readonly metadata: DirectoryMetadata;
  readonly signal: AbortSignal | undefined;
  /** See {@link DeleteOptions.guard}. */
  readonly guard: DeleteOptions["guard"] | undefined;
}

/** Removes files one by one. @throws {StorageError} naming those that are still there. */
export async function removeObjects(
  keys: readonly string[],
  { location, tree, metadata, signal, guard }: RemovalPlace,
): Promise<void> {
  const refused: { readonly key: string; readonly error: unknown }[] = [];
  for (const key of keys) {
    signal?.throwIfAborted();
    try {
      await remove(tree, { key, guard });
      await metadata.remove(key);
    } catch (error) {
      if (error instanceof LeaseLostError) throw error;
      refused.push({ key, error });
    }
  }
  if (refused.length > 0) throw removalError(location, refused);
}

async function remove(
  tree: DirectoryTree,
  { key, guard }: { readonly key: string; readonly guard: (() => void) | undefined },
): Promise<void> {
  if (await tree.stat(key) === undefined) return;
  const path = tree.path(key);
  await attempt(`remove ${path}`, async () => {
    if (!guard) return await Deno.remove(path).catch(ignoreAbsence);
    guard();
    removeAtOnce(path); // nothing may come between the two
  });
  await tree.syncFolderOf(key);
  await tree.removeEmptyFolders(key);
}

function removeAtOnce(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    ignoreAbsence(error);
  }
}

function removalError(
  location: string,
  refused: readonly { readonly key: string; readonly error: unknown }[],
): StorageError {
  const named = refused.slice(0, 10).map(({ key }) => key).join(", ");
  const more = refused.length > 10 ? ` and ${refused.length - 10} more` : "";
  const first = refused[0]?.error;
  const reason = first instanceof Error ? first.message : String(first);
  return new StorageError(
    `could not be removed from ${location}: ${named}${more}: ${reason}`,
    first instanceof StorageError ? first.hint : undefined,
    { cause: first },
  );
}

function ignoreAbsence(error: unknown): undefined {
  if (!isAbsence(error)) throw error;
}
