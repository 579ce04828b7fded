import { tryLock } from "../../domain/try_lock.ts";
import { runningServer } from "../../postgres/postgres.ts";

/** Holds the cluster's name, and is locked for as long as the drill runs. */
const MARK = "backupctl_drill";
/** What a scratch folder holds besides its mark. */
const CONTENT = ["data", "tablespaces", "pg_hba.conf", "pg_ident.conf"];
/** What the names of temporary scratch folders begin with. */
export const TEMPORARY_PREFIX = "backupctl-drill-";

/** Marks a folder as the copy of a drill that the next one of the cluster may remove. */
export class CopyMark {
  readonly #path: string;
  readonly #file: Deno.FsFile;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  /** Marks an empty folder; the mark tells others that this process is at work there. */
  static async lay(folder: string, cluster: string): Promise<CopyMark> {
    const path = `${folder}/${MARK}`;
    const file = await Deno.open(path, { createNew: true, write: true, mode: 0o600 });
    try {
      await file.lock(true);
      await file.write(new TextEncoder().encode(cluster));
      return new CopyMark(path, file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Ends the work. With `forGood` no drill removes the folder any more. */
  async release({ forGood }: { readonly forGood: boolean }): Promise<void> {
    if (forGood) await Deno.remove(this.#path).catch(() => {});
    this.#file.close();
  }
}

/** The place of a drill, and whose earlier copies it takes the place of. */
export interface EarlierCopies {
  readonly cluster: string;
  /** One line for people. */
  readonly note: (text: string) => void;
}

/**
 * Removes what drills of the cluster that failed, or were killed, have left among temporary files:
 * each is as large as the cluster. One in which a server runs stays, which is said. What cannot be
 * removed is somebody else's.
 */
export async function removeTemporaryCopies(
  folder: string,
  copies: EarlierCopies,
): Promise<void> {
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (!isDirectory || !name.startsWith(TEMPORARY_PREFIX)) continue;
      const path = `${folder}/${name}`;
      const remove = () => Deno.remove(path, { recursive: true });
      await removeCopy(path, { ...copies, remove }).catch(() => {});
    }
  } catch {
    // The folder may be written to but not listed.
  }
}

/** The same of a folder that people have named: it is emptied of what a drill puts there. */
export async function emptyOfCopy(path: string, copies: EarlierCopies): Promise<void> {
  const remove = async () => {
    for (const name of [...CONTENT, MARK]) {
      await Deno.remove(`${path}/${name}`, { recursive: true }).catch(ignoreAbsent);
    }
  };
  // What is still there then is told as what keeps the folder from being used.
  await removeCopy(path, { ...copies, remove }).catch(() => {});
}

async function removeCopy(
  path: string,
  { cluster, note, remove }: EarlierCopies & { readonly remove: () => Promise<void> },
): Promise<void> {
  if (!await isLeft(path, cluster)) return;
  const pid = await runningServer(`${path}/data`);
  if (pid === undefined) {
    await remove();
    return note(`the copy of an earlier drill is removed: ${path}`);
  }
  note(`the copy of an earlier drill stays, as a server (process ${pid}) runs in it: ${path}`);
}

/** Whether a drill of the cluster, by this user, has begun to fill it and has ended. */
async function isLeft(path: string, cluster: string): Promise<boolean> {
  const mark = `${path}/${MARK}`;
  try {
    // Anybody may put a folder among temporary files, and in it what never ends.
    const { isFile, uid } = await Deno.lstat(mark);
    if (!isFile || uid !== Deno.uid()) return false;
    if (await Deno.readTextFile(mark) !== cluster) return false;
    if (!(await Deno.lstat(`${path}/data`)).isDirectory) return false;
    using file = await Deno.open(mark, { read: true, write: true });
    return await tryLock(file);
  } catch {
    return false;
  }
}

function ignoreAbsent(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
