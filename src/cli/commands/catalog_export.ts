import type { Command } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { withIndex } from "../open_index.ts";
import { loadSettings } from "../session.ts";

/** Prints everything that the index holds of the cluster, always as JSON. */
export const catalogExport: Command<CommandOf<"catalog export">> = async (_line, context) => {
  const { config } = await loadSettings(context);
  const document = await withIndex(config, { context, use: (index) => index.export() });
  context.terminal.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  return 0;
};
