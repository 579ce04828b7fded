import { tryLock } from "../../domain/try_lock.ts";
import { runningServer } from "../../postgres/postgres.ts";
import { SCRATCH_NAME } from "./scratch_settings.ts";

/** Says whose copy it is, and is locked for as long as the drill runs. */
const MARK = "backupctl_drill";
/** Behind that, when the drill itself has stopped the server and kept the copy. */
const KEPT = "\nkept\n";
/** In postmaster.opts, the command line: nobody but a drill starts a server so. */
const OWN_SERVER = `cluster_name=${SCRATCH_NAME}`;
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
  static async lay(folder: string, repository: string): Promise<CopyMark> {
    const path = `${folder}/${MARK}`;
    const file = await Deno.open(path, { createNew: true, write: true, mode: 0o600 });
    try {
      await file.lock(true);
      await file.write(new TextEncoder().encode(repository));
      return new CopyMark(path, file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Ends the work. With `forGood` no drill removes the folder any more. */
  async release({ forGood }: { readonly forGood: boolean }): Promise<void> {
    if (forGood) await Deno.remove(this.#path).catch(() => {});
    else await this.#file.write(new TextEncoder().encode(KEPT)).catch(() => {});
    this.#file.close();
  }
}

/** The place of a drill, and whose earlier copies it takes the place of. */
export interface EarlierCopies {
  /** Where the cluster's backups are: two clusters of one name may be drilled on this host. */
  readonly repository: string;
  /** Ends the server of a drill that was killed. */
  readonly stop: (dataDirectory: string) => Promise<void>;
  /** One line for people. */
  readonly note: (text: string) => void;
}

/**
 * Removes what drills of the cluster that failed, or were killed, have left among temporary files:
 * each is as large as the cluster. One in which somebody has started a server stays, which is said.
 * What cannot be removed is somebody else's.
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
  { repository, stop, note, remove }: EarlierCopies & { readonly remove: () => Promise<void> },
): Promise<void> {
  const left = await whatIsLeft(path, repository);
  if (left === undefined) return;
  const data = `${path}/data`;
  let pid = await runningServer(data);
  if (pid !== undefined && left === "killed" && await isOwnServer(data)) {
    await stop(data);
    pid = await runningServer(data);
  }
  if (pid === undefined) {
    await remove();
    return note(`the copy of an earlier drill is removed: ${path}`);
  }
  note(`the copy of an earlier drill stays, as a server (process ${pid}) runs in it: ${path}`);
}

/** What became of a drill of the cluster, by this user, that has begun to fill it and has ended. */
async function whatIsLeft(
  path: string,
  repository: string,
): Promise<"kept" | "killed" | undefined> {
  const mark = `${path}/${MARK}`;
  try {
    // Anybody may put a folder among temporary files, and in it what never ends.
    const { isFile, uid } = await Deno.lstat(mark);
    if (!isFile || uid !== Deno.uid()) return undefined;
    const text = await Deno.readTextFile(mark);
    if (text !== repository && text !== repository + KEPT) return undefined;
    if (!(await Deno.lstat(`${path}/data`)).isDirectory) return undefined;
    using file = await Deno.open(mark, { read: true, write: true });
    if (!await tryLock(file)) return undefined;
    return text === repository ? "killed" : "kept";
  } catch {
    return undefined;
  }
}

/** Whether a drill has started the server that ran in it last. */
async function isOwnServer(dataDirectory: string): Promise<boolean> {
  const options = await Deno.readTextFile(`${dataDirectory}/postmaster.opts`).catch(() => "");
  return options.includes(OWN_SERVER);
}

function ignoreAbsent(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
