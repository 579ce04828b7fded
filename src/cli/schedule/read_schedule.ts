import type { Config, KeyPath, LoadedConfig } from "../../config/config.ts";
import { configError, type Fault, isTree, type Layer } from "../../config/layer.ts";
import { UsageError } from "../../domain/errors.ts";
import { CronTimes, type ScheduleEntry } from "../../service/service.ts";
import { readCommandLine } from "../read_command_line.ts";
import { splitWords } from "./split_words.ts";

/** Commands that make no sense on a schedule, and why. */
const REFUSED: Readonly<Record<string, string>> = {
  "schedule": "a schedule cannot run a schedule",
  "wal-push": "PostgreSQL runs it, by archive_command",
  "wal-fetch": "PostgreSQL runs it, by restore_command",
};

type Entry = Config["schedule"][number];

/**
 * The schedule of the configuration, each command line read by the program's own grammar.
 *
 * @throws {ConfigError} with every fault and its place.
 */
export function readSchedule({ config, origin }: LoadedConfig): readonly ScheduleEntry[] {
  const place = (path: KeyPath) => origin(path) ?? "configuration";
  const faults = scheduleFaults({ tree: { schedule: config.schedule }, place });
  if (faults.length > 0) throw configError(faults);
  return config.schedule.map((entry) => scheduleEntry(entry, readWords(entry.run)));
}

/** What is wrong with a schedule as it was written, besides what its grammar refuses. */
export function scheduleFaults({ tree, place }: Layer): readonly Fault[] {
  const { schedule } = tree;
  if (!Array.isArray(schedule)) return [];
  const names = new Set<string>();
  return schedule.flatMap((entry: unknown, index) => {
    if (!isTree(entry)) return [];
    const { name, cron, run } = entry;
    const fault = (key: string, message: string | undefined): readonly Fault[] => {
      const path = ["schedule", index, key];
      return message === undefined ? [] : [{ place: place(path), path, message }];
    };
    const doubled = typeof name === "string" && names.has(name);
    if (typeof name === "string") names.add(name);
    return [
      ...fault("name", doubled ? `"${name}" is the name of another entry, too` : undefined),
      ...fault("cron", refusalOf(cron, (line) => new CronTimes(line))),
      ...fault("run", refusalOf(run, readWords)),
    ];
  });
}

function scheduleEntry(
  { name, cron, run, timezone, jitter = 0, missed }: Entry,
  { args, kind }: { readonly args: readonly string[]; readonly kind: string },
): ScheduleEntry {
  return {
    ...{ name, cron, run, args, kind, missed, jitterMs: jitter },
    ...(timezone !== undefined && { timezone }),
  };
}

/** Why a text is refused; undefined when it is not, or is no text, which the grammar tells. */
function refusalOf(value: unknown, read: (text: string) => unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  try {
    read(value);
    return undefined;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return error.hint === undefined ? error.message : `${error.message}; ${error.hint}`;
  }
}

function readWords(run: string): { readonly args: readonly string[]; readonly kind: string } {
  const args = splitWords(run);
  const reading = readCommandLine(args, { color: false });
  if (reading.type === "text") throw new UsageError(`"${run}" only prints a text`);
  const { command, config, cluster } = reading.line;
  const refused = REFUSED[command];
  if (refused !== undefined) throw new UsageError(`"${command}" cannot be scheduled`, refused);
  if (config !== undefined || cluster !== undefined) {
    throw new UsageError(
      `"${run}" names another configuration or cluster`,
      "a schedule runs with its own; leave --config and --cluster out",
    );
  }
  return { args, kind: command.split(" ")[0]! };
}
