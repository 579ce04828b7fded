import { basename, dirname } from "node:path";
import type { ManifestObject } from "../../catalog/catalog.ts";
import { DestinationError } from "../../domain/errors.ts";
import { mapLimited } from "../../domain/map_limited.ts";
import type { RestoreParts } from "../parts.ts";
import { inspectFolder } from "../destination/inspect_folder.ts";
import { syncPath, writeNewFile } from "../destination/sync_folders.ts";
import { dumpName, dumpPartName, GLOBALS_NAME } from "./object_names.ts";
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
      const file = `${path}/${fileName(object)}`;
      await makeFolder(dirname(file));
      await withRawObject(parts, source, (raw) => writeNewFile(unfinished(file), raw));
      await Deno.rename(unfinished(file), file);
    });
    for (const folder of foldersOf(path, objects)) await syncPath(folder);
  } catch (error) {
    await removeFiles(path, objects);
    if (isNew) await Deno.remove(path).catch(() => {});
    throw error;
  }
}

/** From the database's name and not from the object's key, which somebody else may have written. */
function fileName({ role, database = "", ...part }: ManifestObject): string {
  if (role === "globals") return GLOBALS_NAME;
  return part.section === undefined ? dumpName(database) : dumpPartName(database, part);
}

function unfinished(file: string): string {
  return `${dirname(file)}/.${basename(file)}.unfinished`;
}

/** Those of dumps in parts before the one that they lie in. */
function foldersOf(path: string, objects: readonly ManifestObject[]): readonly string[] {
  const folders = new Set(objects.map((object) => dirname(`${path}/${fileName(object)}`)));
  return [...[...folders].filter((folder) => folder !== path), path];
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

async function removeFiles(path: string, objects: readonly ManifestObject[]): Promise<void> {
  for (const object of objects) {
    const file = `${path}/${fileName(object)}`;
    await Deno.remove(file).catch(() => {});
    await Deno.remove(unfinished(file)).catch(() => {});
  }
  for (const folder of foldersOf(path, objects)) {
    if (folder !== path) await Deno.remove(folder).catch(() => {});
  }
}
