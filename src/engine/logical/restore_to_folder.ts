import type { ManifestObject } from "../../catalog/catalog.ts";
import { DestinationError } from "../../domain/errors.ts";
import { mapLimited } from "../../domain/map_limited.ts";
import type { RestoreParts } from "../parts.ts";
import { inspectFolder } from "../destination/inspect_folder.ts";
import { syncPath, writeNewFile } from "../destination/sync_folders.ts";
import { dumpName, GLOBALS_NAME } from "./object_names.ts";
import { withRawObject } from "./open_dump.ts";
import type { RestoreRun } from "./plan_logical_restore.ts";

/**
 * Writes objects as files that psql and pg_restore read. A file has its name only when it is whole
 * and on disk; after a failure nothing is left.
 *
 * @throws {DestinationError} when the folder cannot be written.
 * @throws {IntegrityError} naming the object that is damaged or missing.
 */
export async function restoreToFolder(
  parts: RestoreParts,
  { backup, options: { jobs, signal } }: RestoreRun,
  { path, objects }: { readonly path: string; readonly objects: readonly ManifestObject[] },
): Promise<void> {
  const isNew = (await inspectFolder(path)).state === "absent";
  await makeFolder(path);
  try {
    await mapLimited(objects, Math.max(1, jobs), async (object) => {
      const source = { backup, object, ...(signal && { signal }) };
      const name = fileName(object);
      const unfinished = `${path}/.${name}.unfinished`;
      await withRawObject(parts, source, (raw) => writeNewFile(unfinished, raw));
      await Deno.rename(unfinished, `${path}/${name}`);
    });
    syncPath(path);
  } catch (error) {
    await removeFiles(path, objects.map(fileName));
    if (isNew) await Deno.remove(path).catch(() => {});
    throw error;
  }
}

/** From the database's name and not from the object's key, which somebody else may have written. */
function fileName({ role, database = "" }: ManifestObject): string {
  return role === "globals" ? GLOBALS_NAME : dumpName(database);
}

async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DestinationError(`cannot make the folder ${path}: ${reason}`, undefined, {
      cause: error,
    });
  }
}

async function removeFiles(path: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await Deno.remove(`${path}/${name}`).catch(() => {});
    await Deno.remove(`${path}/.${name}.unfinished`).catch(() => {});
  }
}
