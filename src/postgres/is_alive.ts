import { kill } from "node:process";

/**
 * Whether a process runs. Where that cannot be told, it counts as running: whoever asks is about to
 * overwrite what it may be using. The executable may send no signals, not even the one that only
 * asks, and Deno from 2.9 on does not show it /proc; then `ps` is asked.
 */
export async function isAlive(pid: number): Promise<boolean> {
  if (isShown(pid)) return true;
  // Mounted with hidepid, /proc shows nobody's but one's own; then the first process is hidden, too.
  if (isShown(1)) return false;
  try {
    kill(pid, 0);
    return true;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ESRCH") return false;
    return code === "EPERM" || await isListed(pid);
  }
}

function isShown(pid: number): boolean {
  try {
    Deno.lstatSync(`/proc/${pid}`);
    return true;
  } catch {
    return false;
  }
}

/** By the program ps. One that does not know its flags complains, and tells nothing. */
async function isListed(pid: number): Promise<boolean> {
  try {
    const { success, stderr } = await new Deno.Command("ps", {
      args: ["-o", "pid=", "-p", `${pid}`],
      stdin: "null",
    }).output();
    return success || stderr.length > 0;
  } catch {
    return true;
  }
}
