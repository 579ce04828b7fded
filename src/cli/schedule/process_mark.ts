import type { ProcessMark } from "../../service/service.ts";

/** A process of this machine, told from a later one with the same number. */
export async function processMark(pid: number): Promise<ProcessMark> {
  const start = await startOf(pid);
  return { pid, ...(start !== undefined && { start }) };
}

/** Whether the very process is alive. Where there is no /proc it counts as dead. */
export async function isAlive({ pid, start }: ProcessMark): Promise<boolean> {
  const found = await startOf(pid);
  return found !== undefined && (start === undefined || found === start);
}

/** Field 22 of /proc/PID/stat, behind the name in brackets; undefined for zombies. proc(5). */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const text = await Deno.readTextFile(`/proc/${pid}/stat`);
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
