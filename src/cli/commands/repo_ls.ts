import type { ObjectInfo } from "../../storage/storage.ts";
import { formatTime } from "../backup_document.ts";
import { type Command, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { openStore } from "../open_parts.ts";
import { loadSettings } from "../session.ts";
import { formatTable } from "../table.ts";

/** Lists the objects of the repository, sizes in bytes. */
export const repoLs: Command<CommandOf<"repo ls">> = async ({ prefix }, context) => {
  const { config } = await loadSettings(context);
  const store = await openStore(config);
  try {
    const objects = await Array.fromAsync(store.list(prefix, { signal: context.signal }));
    printResult(context, {
      json: () => ({
        schema: "backupctl.repo_ls/1",
        location: store.location,
        objects: objects.map(objectDocument),
      }),
      text: () => objects.length === 0 ? "" : listing(objects, context.terminal.stdout.color),
    });
    return 0;
  } finally {
    await store.close?.();
  }
};

function objectDocument({ key, size, lastModified }: ObjectInfo) {
  return { key, size_bytes: size, modified_at: lastModified?.toISOString() ?? null };
}

function listing(objects: readonly ObjectInfo[], color: boolean): string {
  return formatTable(
    [{ title: "BYTES", align: "right" }, { title: "WRITTEN (UTC)" }, { title: "KEY" }],
    objects.map(({ key, size, lastModified }) => [
      String(size),
      lastModified ? formatTime(lastModified.toISOString()).replace("Z", "") : "",
      key,
    ]),
    { color },
  );
}
