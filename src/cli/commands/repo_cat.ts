import type { Command } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { openStore } from "../open_parts.ts";
import { loadSettings } from "../session.ts";

/** Prints one object, byte for byte as it is stored. */
export const repoCat: Command<CommandOf<"repo cat">> = async ({ key }, context) => {
  const { config } = await loadSettings(context);
  const store = await openStore(config);
  const { stdout } = context.terminal;
  try {
    for await (const bytes of await store.get(key, { signal: context.signal })) {
      stdout.write(bytes);
      if (stdout.closed) break;
    }
    return 0;
  } finally {
    await store.close?.();
  }
};
