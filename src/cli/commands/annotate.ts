import { escapeControl } from "../../log/format_record.ts";
import { type Command, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { noteOn } from "../note_change.ts";

/** Writes notes on a backup; an empty value takes one away. */
export const annotate: Command<CommandOf<"annotate">> = async (line, context) => {
  const annotations = Object.fromEntries(
    line.annotations.map(([key, value]) => [key, value === "" ? null : value]),
  );
  const { backup, notes } = await noteOn(line.backupId, { change: { annotations }, context });
  if (line.quiet && line.output !== "json") return 0;
  const all = { ...backup.annotations, ...notes.annotations };
  const left = Object.entries(all).filter(([, value]) => value !== null);
  printResult(context, {
    json: () => ({
      schema: "backupctl.annotate/1",
      backup_id: backup.id,
      annotations: Object.fromEntries(left),
    }),
    text: () =>
      `backup ${backup.id}: ${
        left.map(([key, value]) => `${key}=${escapeControl(value!)}`).join(", ") || "no annotations"
      }\n`,
  });
  return 0;
};
