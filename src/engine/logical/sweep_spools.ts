import { systemClock } from "../../domain/clock.ts";
import { tryLock } from "../../domain/try_lock.ts";

/** What the names of the folders begin with that dumps are spooled in. */
export const SPOOL_PREFIX = "backupctl-restore-";
/** The dump in such a folder, locked for as long as its restore runs. */
export const SPOOL_FILE = "dump";
/** Between a file's beginning and its lock lies a moment, and a clock may be a little off. */
const YOUNG_MS = 3_600_000;

/**
 * Removes the dumps that killed restores of this user have left among temporary files: each is as
 * large as a database's dump, and in the clear. Never throws.
 */
export async function sweepSpools(folder: string): Promise<void> {
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (!isDirectory || !name.startsWith(SPOOL_PREFIX)) continue;
      const path = `${folder}/${name}`;
      if (await isAbandoned(path)) await Deno.remove(path, { recursive: true }).catch(() => {});
    }
  } catch {
    // The folder may be written to but not listed.
  }
}

/** Anybody may put a folder among temporary files, and in it what never ends. */
async function isAbandoned(path: string): Promise<boolean> {
  const dump = `${path}/${SPOOL_FILE}`;
  try {
    const [folder, file] = [await Deno.lstat(path), await Deno.lstat(dump)];
    if (!file.isFile || folder.uid !== Deno.uid() || file.uid !== Deno.uid()) return false;
    if (systemClock.now().getTime() - file.mtime!.getTime() < YOUNG_MS) return false;
    using opened = await Deno.open(dump, { read: true, write: true });
    return await tryLock(opened);
  } catch {
    return false;
  }
}
