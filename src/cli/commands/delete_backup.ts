import { planRemoveBackup, removeBackup } from "../../engine/retention/remove_backup.ts";
import type { PruneParts, Removal } from "../../engine/retention/prune_parts.ts";
import { refuseOther } from "../agreed_removal.ts";
import { askYes, canAsk } from "../ask_yes.ts";
import { type Command, type Context, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { withRemovalParts } from "../open_removal.ts";
import { removalDocument, removalSummary, removalText } from "../removal_view.ts";
import { openSession } from "../session.ts";
import { trackRun } from "../track_run.ts";

type Line = CommandOf<"delete">;

/** Removes one backup, or says what that would take with it. */
export const deleteBackup: Command<Line> = async (line, context) => {
  await using session = await openSession(context, "prune");
  const { cluster } = session.loaded.config;
  const options = { id: line.backupId, force: line.force, signal: context.signal };
  if (line.dryRun) {
    const removal = await withRemovalParts({
      ...{ session, context, dryRun: true },
      work: (parts) => planRemoveBackup(parts, options),
    });
    session.progress[Symbol.dispose]();
    print(removal, { line, context, cluster });
    return 0;
  }
  const done = await trackRun(session, context, {
    task: "prune",
    operation: "delete",
    what: `removal of backup ${line.backupId}`,
    work: () =>
      withRemovalParts({
        ...{ session, context, dryRun: false },
        work: (parts) => removeAsAgreed(parts, { options, line, context }),
      }),
    result: (removal) => ({ storedBytes: removal?.freedBytes ?? 0 }),
  });
  if (done) print(done, { line, context, cluster });
  else context.terminal.stderr.write("nothing was removed\n");
  return 0;
};

/** Undefined when the answer was no. */
async function removeAsAgreed(
  parts: PruneParts,
  { options, line, context }: {
    readonly options: Parameters<typeof planRemoveBackup>[1];
    readonly line: Line;
    readonly context: Context;
  },
): Promise<Removal | undefined> {
  const { terminal } = context;
  if (line.yes || !canAsk(terminal)) return (await removeBackup(parts, options))?.removal;
  const shown = await planRemoveBackup(parts, options);
  terminal.stderr.write(
    removalText(shown, { color: terminal.stderr.color, width: terminal.stderr.columns() }),
  );
  if (!await askYes(`Remove ${removalSummary(shown)}?`, context)) return undefined;
  const confirm = (removal: Removal) => refuseOther(removal, shown);
  return (await removeBackup(parts, { ...options, confirm }))?.removal;
}

function print(
  removal: Removal,
  { line, context, cluster }: {
    readonly line: Line;
    readonly context: Context;
    readonly cluster: string;
  },
): void {
  if (line.quiet && line.output !== "json") return;
  const { remove, freed_bytes } = removalDocument(removal);
  printResult(context, {
    json: () => ({
      schema: "backupctl.delete/1",
      cluster,
      dry_run: line.dryRun,
      remove,
      freed_bytes,
    }),
    text: () =>
      removalText(removal, {
        color: context.terminal.stdout.color,
        width: context.terminal.stdout.columns(),
      }) +
      `${line.dryRun ? "would remove" : "removed"} ${removalSummary(removal)}\n`,
  });
}
