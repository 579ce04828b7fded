import { type Command, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { withIndex } from "../open_index.ts";
import { openCatalog, openStore } from "../open_parts.ts";
import { loadSettings } from "../session.ts";

/** Makes the index in PostgreSQL equal to the repository. */
export const catalogRebuild: Command<CommandOf<"catalog rebuild">> = async (line, context) => {
  const { config } = await loadSettings(context);
  const store = await openStore(config);
  try {
    const repository = await openCatalog(store, config);
    const count = await withIndex(config, {
      context,
      use: (index) => index.rebuild(repository, context.signal),
    });
    if (line.quiet && line.output !== "json") return 0;
    printResult(context, {
      json: () => ({
        schema: "backupctl.catalog_rebuild/1",
        cluster: config.cluster,
        backups: count,
      }),
      text: () =>
        `the index holds ${count} ${
          count === 1 ? "backup" : "backups"
        } of ${repository.location}\n`,
    });
    return 0;
  } finally {
    await store.close?.();
  }
};
