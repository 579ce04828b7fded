import { type Command, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { loadSettings } from "../session.ts";

/** Sections that are checked, and that nothing in this version acts on. */
const NOT_ACTED_ON = ["retention", "schedule", "alerts", "wal", "listen"] as const;

/** Says that the configuration is in order; the faults are the error of loading it. */
export const configCheck: Command<CommandOf<"config check">> = async (line, context) => {
  const { tree, files } = await loadSettings(context);
  const idle = NOT_ACTED_ON.filter((section) => tree[section] !== undefined);
  if (line.quiet && line.output !== "json") return 0;
  printResult(context, {
    json: () => ({ schema: "backupctl.config_check/1", ok: true, files, not_acted_on: idle }),
    text: () => {
      const from = files.length === 0 ? "no file; the environment and defaults" : files.join(", ");
      const note = idle.length === 0
        ? ""
        : `checked, and not acted on by this version: ${idle.join(", ")}\n`;
      return `the configuration is in order (${from})\n${note}`;
    },
  });
  return 0;
};
