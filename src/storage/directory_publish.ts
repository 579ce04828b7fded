import { ObjectExistsError, StorageError } from "../domain/errors.ts";
import { attempt, errorCode } from "./directory_errors.ts";
import { type DirectoryTree, giveToFolderOwner } from "./directory_tree.ts";
import { RESERVED_SEGMENT } from "./object_key.ts";

/** How long another process may hold the lock, which takes it milliseconds. */
const LOCK_TIMEOUT_MS = 30_000;
/** What file systems answer that know no hard links: FAT and exFAT, some FUSE and SMB mounts. */
export const NO_LINKS: ReadonlySet<string> = new Set([
  "EPERM",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EMLINK",
]);

interface Publication {
  readonly key: string;
  /** The finished file. */
  readonly path: string;
  /** Whether the file must have both names until its metadata is in place. */
  readonly keepName: boolean;
  readonly ifAbsent: boolean | undefined;
  readonly ifMatch: string | undefined;
  readonly describe: (key: string, info: Deno.FileInfo) => { readonly etag: string };
}

/**
 * Gives a finished file its final name, atomically and durably.
 *
 * @throws {ObjectExistsError} when a condition does not hold.
 */
export async function publish(tree: DirectoryTree, publication: Publication): Promise<void> {
  const { key, ifAbsent = false, ifMatch } = publication;
  await attempt(`store ${tree.path(key)}`, () =>
    tree.inFolderOf(key, async () => {
      if (ifMatch !== undefined) return await replaceIfMatch(tree, publication, ifMatch);
      if (ifAbsent) return await addIfAbsent(tree, publication);
      await replace(tree, publication);
    }));
}

/** A hard link is made by exactly one of many that race: the name is new or the call fails. */
async function addIfAbsent(tree: DirectoryTree, publication: Publication): Promise<void> {
  const { key, path } = publication;
  try {
    await Deno.link(path, tree.path(key));
  } catch (error) {
    const code = errorCode(error) ?? "";
    if (code === "EEXIST") return await settleExisting(tree, publication);
    if (!NO_LINKS.has(code)) throw error;
    await addUnderLock(tree, publication);
  }
}

/** NFS may repeat a link whose answer was lost and then find its own: link(2), "BUGS". */
async function settleExisting(tree: DirectoryTree, { key, path }: Publication): Promise<void> {
  const [found, own] = await Promise.all([Deno.lstat(tree.path(key)), Deno.lstat(path)]);
  if (found.isDirectory) throw Object.assign(new Error("is a folder"), { code: "EISDIR" });
  if (found.ino !== own.ino || found.dev !== own.dev) throw new ObjectExistsError(key);
}

async function addUnderLock(tree: DirectoryTree, { key, path }: Publication): Promise<void> {
  await withLock(tree, async () => {
    if (await tree.stat(key) !== undefined) throw new ObjectExistsError(key);
    await Deno.rename(path, tree.path(key));
  });
}

async function replaceIfMatch(
  tree: DirectoryTree,
  publication: Publication,
  etag: string,
): Promise<void> {
  await withLock(tree, async () => {
    const { key, describe } = publication;
    const found = await tree.stat(key);
    if (found === undefined || describe(key, found).etag !== etag) throw new ObjectExistsError(key);
    await replace(tree, publication);
  });
}

async function replace(tree: DirectoryTree, { key, path, keepName }: Publication): Promise<void> {
  if (!keepName) return await Deno.rename(path, tree.path(key));
  const second = `${path}.link`;
  try {
    await Deno.link(path, second);
    await Deno.rename(second, tree.path(key));
  } catch (error) {
    await Deno.remove(second).catch(() => {}); // renamed, or never made
    if (!NO_LINKS.has(errorCode(error) ?? "")) throw error;
    await Deno.rename(path, tree.path(key));
  }
}

/** One process at a time; the kernel releases the lock of a process that dies. */
async function withLock(tree: DirectoryTree, work: () => Promise<void>): Promise<void> {
  const path = tree.path(`${RESERVED_SEGMENT}/lock`);
  const file = await Deno.open(path, { write: true, create: true, mode: 0o600 });
  await giveToFolderOwner(path);
  const locked = file.lock(true);
  try {
    await withinTimeout(locked, path);
  } catch (error) {
    locked.then(() => file.close(), () => file.close());
    throw error;
  }
  try {
    await work();
  } finally {
    file.close();
  }
}

async function withinTimeout(locked: Promise<void>, path: string): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new StorageError(
          `another process holds the lock ${path} for more than ${LOCK_TIMEOUT_MS / 1000} s`,
          "is a backupctl process stopped on a host that shares this folder?",
        ),
      );
    }, LOCK_TIMEOUT_MS);
  });
  try {
    await Promise.race([locked, late]);
  } finally {
    clearTimeout(timer);
  }
}
