import { type Command, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { scheduleFaults } from "../schedule/read_schedule.ts";
import { loadSettings } from "../session.ts";

/** Says that the configuration is in order; the faults are the error of loading it. */
export const configCheck: Command<CommandOf<"config check">> = async (line, context) => {
  const { files } = await loadSettings(context, {
    forDaemon: true,
    checkSchedule: scheduleFaults,
  });
  if (line.quiet && line.output !== "json") return 0;
  printResult(context, {
    json: () => ({ schema: "backupctl.config_check/1", ok: true, files, not_acted_on: [] }),
    text: () => {
      const from = files.length === 0 ? "no file; the environment and defaults" : files.join(", ");
      return `the configuration is in order (${from})\n`;
    },
  });
  return 0;
};
