import { UsageError } from "../../domain/errors.ts";
import type { Command } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { printSchedule } from "../schedule/print_schedule.ts";
import { readSchedule, scheduleFaults } from "../schedule/read_schedule.ts";
import { loadSettings } from "../session.ts";

type Line = CommandOf<"schedule">;

/** Shows the schedule, or runs it. */
export const schedule: Command<Line> = async (line, context) => {
  checkFlags(line);
  if (line.daemon) {
    const { runDaemon } = await import("../schedule/run_daemon.ts");
    return await runDaemon(context, { once: line.once, listen: line.listen });
  }
  const entries = readSchedule(await loadSettings(context, { checkSchedule: scheduleFaults }));
  printSchedule(entries, { next: line.next, context });
  return 0;
};

function checkFlags({ daemon, once, listen, next }: Line): void {
  if (daemon && next !== undefined) {
    throw new UsageError("--next is for showing the schedule", "leave out --daemon");
  }
  const given = once ? "--once" : listen === undefined ? undefined : "--listen";
  if (daemon || given === undefined) return;
  throw new UsageError(`${given} is for the daemon`, `did you mean "schedule --daemon ${given}"?`);
}
