import { pid } from "node:process";
import { isAlive } from "./is_alive.ts";

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
export async function sweepPasswordFiles(
  folder: string,
  { now }: { readonly now: number },
): Promise<void> {
  try {
    for (const { name } of Deno.readDirSync(folder)) {
      const owner = NAME.exec(name)?.[1];
      if (owner === undefined || await isAlive(Number(owner))) continue;
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
