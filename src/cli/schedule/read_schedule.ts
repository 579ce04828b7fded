import type { Config, KeyPath, LoadedConfig } from "../../config/config.ts";
import { configError, type Fault } from "../../config/layer.ts";
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
  const faults: Fault[] = [];
  const names = new Set<string>();
  const entries = config.schedule.flatMap((entry, index) => {
    const fault = (key: string, message: string) => {
      const path: KeyPath = ["schedule", index, key];
      faults.push({ place: origin(path) ?? "configuration", path, message });
    };
    if (names.has(entry.name)) fault("name", `"${entry.name}" is the name of another entry, too`);
    names.add(entry.name);
    attempt(() => new CronTimes(entry.cron, entry.timezone), (message) => fault("cron", message));
    const words = attempt(() => readWords(entry.run), (message) => fault("run", message));
    return words ? [scheduleEntry(entry, words)] : [];
  });
  if (faults.length > 0) throw configError(faults);
  return entries;
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

function attempt<T>(work: () => T, onFault: (message: string) => void): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    onFault(error.hint === undefined ? error.message : `${error.message}; ${error.hint}`);
    return undefined;
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
