import { UsageError } from "../../domain/errors.ts";
import { parseRetentionPolicy, type RetentionPolicy } from "../../domain/retention_policy.ts";
import { PruneEngine } from "../../engine/retention/prune_engine.ts";
import type {
  PruneOptions,
  PruneParts,
  RemovalReport,
} from "../../engine/retention/prune_parts.ts";
import { refuseOther } from "../agreed_removal.ts";
import { askYes, canAsk } from "../ask_yes.ts";
import { type Command, type Context, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { withRemovalParts } from "../open_removal.ts";
import { removalDocument, removalSummary, removalText } from "../removal_view.ts";
import { openSession, type Session } from "../session.ts";
import { trackRun } from "../track_run.ts";

type Line = CommandOf<"prune">;

interface Run {
  readonly line: Line;
  readonly session: Session;
  readonly context: Context;
  /** As it was typed; undefined when there is none. */
  readonly policy: string | undefined;
}

/** Removes what the policy does not keep, or says what that would be. */
export const prune: Command<Line> = async (line, context) => {
  if (line.olderThan !== undefined && !line.orphans && !line.multiparts) {
    throw new UsageError(
      "--older-than goes with --orphans or --multiparts",
      "which backups are old enough to go is what the policy says",
    );
  }
  await using session = await openSession(context, "prune");
  const run = { line, session, context, policy: line.policy ?? session.loaded.config.retention };
  if (run.policy === undefined && !line.orphans && !line.multiparts) return sayNoPolicy(run);
  const options = pruneOptions(run);
  if (line.dryRun) {
    const removal = await withRemovalParts({
      ...{ session, context, dryRun: true },
      work: (parts) => new PruneEngine(parts).plan(options),
    });
    print({ removal, uploads: 0, removedSegments: 0 }, run);
    return 0;
  }
  const report = await trackRun(session, context, {
    task: "prune",
    operation: "prune",
    what: `removal from cluster ${session.loaded.config.cluster}`,
    work: () =>
      withRemovalParts({
        ...{ session, context, dryRun: false },
        work: (parts) => removeAsAgreed(parts, { options, run }),
      }),
    result: (done) => ({ storedBytes: done?.removal.freedBytes ?? 0 }),
  });
  if (report) {
    if (!context.terminal.stderr.isTerminal) tellNotes(report, run);
    print(report, run);
  } else context.terminal.stderr.write("nothing was removed\n");
  return 0;
};

function pruneOptions({ line, policy, context }: Run): PruneOptions {
  const parsed = policy === undefined ? undefined : parseRetentionPolicy(policy);
  return {
    ...(parsed && { policy: withRedundancy(parsed, line.minRedundancy) }),
    orphans: line.orphans,
    uploads: line.multiparts,
    ...(line.olderThan !== undefined && { olderThan: line.olderThan }),
    force: line.force,
    signal: context.signal,
  };
}

function withRedundancy(policy: RetentionPolicy, asked: number | undefined): RetentionPolicy {
  return asked === undefined ? policy : { ...policy, minRedundancy: asked };
}

/** Asked on a terminal; from cron it just runs. Undefined when the answer was no. */
async function removeAsAgreed(
  parts: PruneParts,
  { options, run }: { readonly options: PruneOptions; readonly run: Run },
): Promise<RemovalReport | undefined> {
  const engine = new PruneEngine(parts);
  const { line, context, session } = run;
  const { terminal } = context;
  if (line.yes || !canAsk(terminal)) return await engine.run(options);
  const shown = await engine.plan(options);
  session.progress[Symbol.dispose]();
  terminal.stderr.write(
    removalText(shown, { color: terminal.stderr.color, width: terminal.stderr.columns() }),
  );
  const what = removalSummary(shown);
  if (what !== undefined && !await askYes(`Remove ${what}?`, context)) return undefined;
  return await engine.run({ ...options, confirm: (removal) => refuseOther(removal, shown) });
}

function sayNoPolicy({ context, session }: Run): number {
  const { cluster } = session.loaded.config;
  printResult(context, {
    json: () => ({ schema: "backupctl.prune/1", cluster, policy: null, remove: [], wal: [] }),
    text: () =>
      "there is no retention policy, so nothing is removed\n" +
      'set "retention" in the configuration, or give --policy "weekly-retain=4,pitr-window=14d"\n',
  });
  return 0;
}

/** Whoever runs this from a schedule reads the log alone. */
function tellNotes({ removal: { notes } }: RemovalReport, { session }: Run): void {
  const { cluster } = session.loaded.config;
  for (const note of notes) session.log.info("prune.note", note, { cluster });
}

function print({ removal, uploads }: RemovalReport, run: Run): void {
  const { line, context, session, policy } = run;
  session.progress[Symbol.dispose]();
  if (line.quiet && line.output !== "json") return;
  printResult(context, {
    json: () => ({
      schema: "backupctl.prune/1",
      cluster: session.loaded.config.cluster,
      policy: policy ?? null,
      dry_run: line.dryRun,
      ...removalDocument(removal),
      uploads,
    }),
    text: () => text({ removal, uploads }, run),
  });
}

function text(
  { removal, uploads }: Pick<RemovalReport, "removal" | "uploads">,
  { line, policy, context: { terminal } }: Run,
): string {
  const what = removalSummary(removal) ?? "nothing";
  const given = uploads === 0 ? "" : `; ${uploads} unfinished uploads were given up`;
  const verdict = line.dryRun ? `would remove ${what}` : `removed ${what}${given}`;
  return (policy === undefined ? "" : `policy ${policy}\n\n`) +
    `${
      removalText(removal, { color: terminal.stdout.color, width: terminal.stdout.columns() })
    }${verdict}\n`;
}
