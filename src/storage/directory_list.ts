import { attempt, isAbsence } from "./directory_errors.ts";
import { type DirectoryTree, isSymlinkError, parentOf, symlinkError } from "./directory_tree.ts";
import { compareKeys, isKey } from "./object_key.ts";
import type { ObjectInfo } from "./storage.ts";

/** How many files are looked up at once: a network file system answers each in milliseconds. */
const LOOKUPS = 32;
/** What file systems put there themselves: a folder at the root, and removed files in use (NFS). */
const FOREIGN = /^(?:lost\+found|\.nfs[0-9a-f]+)$/;

interface ListOptions {
  readonly prefix: string;
  readonly startAfter: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** Hears of symbolic links, which are left out; without it they are an error. */
  readonly onForeign: ((path: string) => void) | undefined;
  readonly describe: (key: string, info: Deno.FileInfo) => ObjectInfo;
}

/**
 * The objects in the order of their keys' bytes. Held in memory: the names of the folders on the
 * way to the current one, never the whole listing.
 */
export async function* listDirectory(
  tree: DirectoryTree,
  options: ListOptions,
): AsyncGenerator<ObjectInfo> {
  const folder = parentOf(options.prefix);
  if (folder !== "" && !isKey(folder)) return; // no object can have such a prefix
  if (!await isListable(tree, folder, options)) return;
  yield* listFolder(tree, folder === "" ? "" : `${folder}/`, options);
}

/** Whether the folder is there and reached without any link, unless links are to be left out. */
async function isListable(
  tree: DirectoryTree,
  folder: string,
  { onForeign }: ListOptions,
): Promise<boolean> {
  try {
    return await tree.hasFolder(folder);
  } catch (error) {
    if (!onForeign || !isSymlinkError(error)) throw error;
    onForeign(tree.path(folder));
    return false;
  }
}

async function* listFolder(
  tree: DirectoryTree,
  folder: string,
  options: ListOptions,
): AsyncGenerator<ObjectInfo> {
  const keys = (await readFolder(tree, folder, options)).filter((key) => isWanted(key, options));
  keys.sort(compareKeys);
  for (let at = 0; at < keys.length;) {
    options.signal?.throwIfAborted();
    const key = keys[at]!;
    if (key.endsWith("/")) {
      at += 1;
      yield* listFolder(tree, key, options);
      continue;
    }
    const files = leadingFiles(keys, at);
    at += files.length;
    yield* await lookUp(tree, files, options);
  }
}

/** The keys in one folder, those of folders with a slash behind, as they sort. */
async function readFolder(
  tree: DirectoryTree,
  folder: string,
  { onForeign }: ListOptions,
): Promise<string[]> {
  const path = tree.path(folder);
  return await attempt(`list ${path}`, async () => {
    const keys: string[] = [];
    try {
      for await (const entry of Deno.readDir(path)) {
        const key = folder + entry.name;
        if (FOREIGN.test(entry.name) || !isKey(key)) continue;
        if (entry.isSymlink) {
          if (!onForeign) throw symlinkError(tree.path(key));
          onForeign(tree.path(key));
        }
        if (entry.isDirectory) keys.push(`${key}/`);
        if (entry.isFile) keys.push(key);
      }
    } catch (error) {
      if (!isAbsence(error)) throw error; // removed since it was seen
    }
    return keys;
  });
}

function isWanted(key: string, { prefix, startAfter }: ListOptions): boolean {
  const isFolder = key.endsWith("/");
  if (!key.startsWith(prefix) && !(isFolder && prefix.startsWith(key))) return false;
  if (startAfter === undefined || compareKeys(key, startAfter) > 0) return true;
  return isFolder && startAfter.startsWith(key);
}

function leadingFiles(keys: readonly string[], from: number): readonly string[] {
  let to = from;
  while (to < keys.length && to - from < LOOKUPS && !keys[to]!.endsWith("/")) to += 1;
  return keys.slice(from, to);
}

async function lookUp(
  tree: DirectoryTree,
  keys: readonly string[],
  { describe }: ListOptions,
): Promise<readonly ObjectInfo[]> {
  const infos = await Promise.all(keys.map(async (key) => {
    const path = tree.path(key);
    const info = await attempt(`look up ${path}`, () => Deno.lstat(path).catch(ignoreAbsence));
    return info?.isFile ? describe(key, info) : undefined;
  }));
  return infos.filter((info) => info !== undefined);
}

function ignoreAbsence(error: unknown): undefined {
  if (!isAbsence(error)) throw error;
}
