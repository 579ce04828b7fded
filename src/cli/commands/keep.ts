import { UsageError } from "../../domain/errors.ts";
import { type Command, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { noteOn, parseUntil } from "../note_change.ts";

/** Keeps a backup whatever the policy says, or gives it free again. */
export const keep: Command<CommandOf<"keep">> = async (line, context) => {
  if (line.release && line.until !== undefined) {
    throw new UsageError("--until and --release do not go together", "give one of them");
  }
  const until = line.until === undefined ? null : parseUntil(line.until, context.clock.now());
  const change = { keep: line.release ? false as const : { until } };
  const { backup } = await noteOn(line.backupId, { change, context });
  if (line.quiet && line.output !== "json") return 0;
  printResult(context, {
    json: () => ({
      schema: "backupctl.keep/1",
      backup_id: backup.id,
      kept: !line.release,
      keep_until: until?.toISOString() ?? null,
    }),
    text: () => {
      if (line.release) return `backup ${backup.id} is left to the retention policy again\n`;
      return `backup ${backup.id} is kept${until ? ` until ${until.toISOString()}` : ""}\n`;
    },
  });
  return 0;
};
