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
      const { parent: above, title } = factsOf(pid);
      if (above === postmaster && isArchiver(title)) return "archiver";
      pid = above;
    }
  } catch {
    // Nothing tells, there is no postmaster.pid, or a process has just ended.
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

/** What is known of a running process. */
interface ProcessFacts {
  readonly parent: number;
  readonly title: string;
}

/** By /proc, which a narrowed executable may not read, or by the program ps. */
function factsOf(pid: number): ProcessFacts {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // proc(5): the fourth field, behind the name in parentheses, which may hold anything.
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    return { parent, title: Deno.readTextFileSync(`/proc/${pid}/cmdline`) };
  } catch {
    return askPs(pid);
  }
}

function askPs(pid: number): ProcessFacts {
  const args = ["-o", "ppid=", "-o", "args=", "-p", `${pid}`];
  const { stdout } = new Deno.Command("ps", { args, stdin: "null", stderr: "null" }).outputSync();
  const [, parent, title] = /^\s*(\d+)\s+(.*)$/m.exec(new TextDecoder().decode(stdout)) ?? [];
  if (parent === undefined || title === undefined) throw new RangeError(`no process ${pid}`);
  return { parent: Number(parent), title };
}

/** `postgres: archiver …`, with the cluster's name between when it has one. */
function isArchiver(title: string): boolean {
  return /^postgres: (.*: )?archiver\b/.test(title);
}
