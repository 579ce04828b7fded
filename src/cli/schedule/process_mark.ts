import type { ProcessMark } from "../../service/service.ts";

/** When a process began; `gone`: there is none; undefined: nobody can tell. */
type Start = string | "gone" | undefined;

/** Seconds by which `ps` may differ from itself: it adds up two clocks. */
const TOLERANCE = 2;

/** A process of this machine, told from a later one with the same number. */
export async function processMark(pid: number): Promise<ProcessMark> {
  const start = await startOf(pid);
  return { pid, ...(start !== undefined && start !== "gone" && { start }) };
}

/** Whether the very process is alive; undefined when this program cannot tell. */
export async function isAlive({ pid, start }: ProcessMark): Promise<boolean | undefined> {
  const found = await startOf(pid);
  if (found === undefined || found === "gone") return found === undefined ? undefined : false;
  return start === undefined || isSame(start, found);
}

/** By /proc, which a narrowed executable may not read, or by the program ps. */
async function startOf(pid: number): Promise<Start> {
  try {
    const text = await Deno.readTextFile(`/proc/${pid}/stat`);
    // proc(5): field 22, starttime, behind the name in brackets; field 3 is the state.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "gone" : fields[19];
  } catch (error) {
    const isAbsent = error instanceof Deno.errors.NotFound && Deno.build.os === "linux";
    return isAbsent ? "gone" : await askPs(pid);
  }
}

async function askPs(pid: number): Promise<Start> {
  try {
    const args = ["-o", "stat=", "-o", "lstart=", "-p", `${pid}`];
    const { success, stdout, stderr } = await new Deno.Command("ps", {
      args,
      env: { LC_ALL: "C", TZ: "UTC" },
      stdin: "null",
    }).output();
    const [, state, start] = /^(\S+)\s+(.*\S)/.exec(new TextDecoder().decode(stdout).trim()) ?? [];
    if (success && start !== undefined) return state!.startsWith("Z") ? "gone" : start;
    // One that does not know its flags complains, and tells nothing.
    return success || stderr.length > 0 ? undefined : "gone";
  } catch {
    return undefined;
  }
}

/** Ticks, or a date; where one of them is each, they cannot be compared. */
function isSame(one: string, other: string): boolean {
  const [isTicks, otherIsTicks] = [one, other].map((text) => /^\d+$/.test(text));
  if (isTicks || otherIsTicks) return isTicks !== otherIsTicks || one === other;
  return Math.abs(Date.parse(one) - Date.parse(other)) <= TOLERANCE * 1000;
}
