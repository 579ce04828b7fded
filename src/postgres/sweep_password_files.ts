import { kill, pid } from "node:process";

const NAME = /^backupctl-(\d+)-.*\.pgpass$/;
/** Processes of another container that shares the folder look dead, and need theirs for seconds. */
const YOUNG_MILLISECONDS = 3_600_000;

/** What the names of this process's password files begin with. */
export function passwordFilePrefix(): string {
  return `backupctl-${pid}-`;
}

/**
 * Removes the password files of runs that were killed. Never throws: other users' files cannot be
 * removed, and another run may be at the same work.
 *
 * @param options.now milliseconds of the epoch.
 */
export function sweepPasswordFiles(folder: string, { now }: { readonly now: number }): void {
  try {
    for (const { name } of Deno.readDirSync(folder)) {
      const owner = NAME.exec(name)?.[1];
      if (owner === undefined || isAlive(Number(owner))) continue;
      removeOld(`${folder}/${name}`, now);
    }
  } catch {
    // The folder may be searched but not listed.
  }
}

function removeOld(path: string, now: number): void {
  try {
    const written = Deno.lstatSync(path).mtime?.getTime() ?? now;
    if (now - written > YOUNG_MILLISECONDS) Deno.removeSync(path);
  } catch {
    // Gone, or somebody else's.
  }
}

function isAlive(pid: number): boolean {
  try {
    kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}
