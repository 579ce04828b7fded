/**
 * Who runs `backup incremental`: PostgreSQL's archiver, whose command may have no `%p`, or a person
 * or cron.
 *
 * @module
 */

/** What the surroundings say. */
export type Caller =
  /** The archiver of the server whose data directory is the working directory. */
  | "archiver"
  /** Certainly somebody else: this is no data directory. */
  | "somebody"
  /** A data directory, and it cannot be told. */
  | "unknown";

/** The shell that runs the command may stand between, and a wrapper script. */
const MAX_GENERATIONS = 4;

/** Tells who runs this process in `folder`. */
export function callerIn(folder: string, parent: number): Caller {
  if (!isDataDirectory(folder)) return "somebody";
  try {
    const postmaster = postmasterOf(folder);
    let pid = parent;
    for (let generation = 0; generation < MAX_GENERATIONS && pid > 1; generation++) {
      const above = parentOf(pid);
      if (above === postmaster && isArchiver(pid)) return "archiver";
      pid = above;
    }
  } catch {
    // No /proc, no postmaster.pid, or a process that has just ended.
  }
  return "unknown";
}

function isDataDirectory(folder: string): boolean {
  try {
    return Deno.statSync(`${folder}/PG_VERSION`).isFile &&
      Deno.statSync(`${folder}/global/pg_control`).isFile &&
      Deno.statSync(`${folder}/pg_wal/archive_status`).isDirectory;
  } catch {
    return false;
  }
}

/** The first line of postmaster.pid. */
function postmasterOf(folder: string): number {
  const pid = Number.parseInt(Deno.readTextFileSync(`${folder}/postmaster.pid`), 10);
  if (pid > 1) return pid;
  throw new RangeError("postmaster.pid names no process");
}

/** proc(5): the fourth field, behind the name in parentheses, which may hold anything. */
function parentOf(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}

/** `postgres: archiver …`, with the cluster's name between when it has one. */
function isArchiver(pid: number): boolean {
  const title = Deno.readTextFileSync(`/proc/${pid}/cmdline`);
  return /^postgres: (.*: )?archiver\b/.test(title);
}
