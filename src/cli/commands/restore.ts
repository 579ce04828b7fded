import type { BackupManifest } from "../../catalog/catalog.ts";
import { formatBytes, formatSeconds } from "../../domain/bytes.ts";
import { DestinationError, UsageError } from "../../domain/errors.ts";
import type { RestoreEngine, RestoreOptions } from "../../engine/engine.ts";
import { escapeControl } from "../../log/format_record.ts";
import { backupDocument } from "../backup_document.ts";
import { type Command, type Context, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { openCatalog, openCodecs, openPrograms, openStore, resolveServer } from "../open_parts.ts";
import { printRestorePlan } from "../restore_plan.ts";
import { openSession, type Session } from "../session.ts";
import { trackRun } from "../track_run.ts";

type Line = CommandOf<"restore">;

/** Restores a backup, or says what a restore would do. */
export const restore: Command<Line> = async (line, context) => {
  checkTarget(line);
  await using session = await openSession(context, "restore");
  const { config } = session.loaded;
  const options = await restoreOptions(line, { session, context });
  const store = await openStore(config, session.log);
  using codecs = await openCodecs(config, line.jobs);
  const { RestoreEngine } = await import("../../engine/engine.ts");
  const engine = new RestoreEngine({
    repository: await openCatalog(store, config),
    store,
    codecs,
    programs: await openPrograms(config, context),
    progress: session.progress,
  });
  try {
    const backup = await engine.choose(line.backupId, context.signal);
    if (line.plan) return await plan(backup, { engine, options, session, context });
    await run(backup, { line, engine, options, session, context });
    return 0;
  } finally {
    await store.close?.();
  }
};

/** @throws {UsageError} unless exactly one target is given. */
function checkTarget(line: Line): void {
  if (line.destination !== undefined && line.into !== undefined) {
    throw new UsageError(
      "--destination and --into do not go together",
      "--destination takes a folder, --into a live server",
    );
  }
  if (line.destination !== undefined || line.into !== undefined) return;
  throw new UsageError(
    "where to restore to was not given",
    "--destination FOLDER takes an empty or absent folder, --into URL a live server",
  );
}

async function restoreOptions(
  line: Line,
  { session, context }: { readonly session: Session; readonly context: Context },
): Promise<RestoreOptions> {
  const { config } = session.loaded;
  const configured = config.backup.jobs === "auto" ? undefined : config.backup.jobs;
  return {
    jobs: line.jobs ?? configured ?? Math.min(navigator.hardwareConcurrency, 8),
    ...(line.destination !== undefined && { destination: line.destination }),
    ...(line.into !== undefined && {
      into: await resolveServer(config, { ...context, url: line.into }),
    }),
    ...(line.databases.length > 0 && { databases: line.databases }),
    ...(line.tablespaceMap.length > 0 && { tablespaceMap: new Map(line.tablespaceMap) }),
    signal: context.signal,
  };
}

interface Run {
  readonly engine: RestoreEngine;
  readonly options: RestoreOptions;
  readonly session: Session;
  readonly context: Context;
}

/** Exit status 9 when the restore could not start as things are. */
async function plan(
  backup: BackupManifest,
  { engine, options, session, context }: Run,
): Promise<number> {
  const found = await engine.plan(backup, options);
  session.progress[Symbol.dispose]();
  printRestorePlan(found, context);
  return found.obstacles.length === 0 ? 0 : new DestinationError("").exitCode;
}

async function run(
  backup: BackupManifest,
  { line, engine, options, session, context }: Run & { readonly line: Line },
): Promise<void> {
  const report = await trackRun(session, context, {
    task: "restore",
    operation: "restore",
    what: `restore of backup ${backup.id}`,
    backup,
    work: () => engine.restore(backup, options),
    result: ({ rawBytes, fetchedBytes }) => ({ backup, rawBytes, storedBytes: fetchedBytes }),
  });
  if (!line.quiet || line.output === "json") print(report, context);
}

function print(
  report: Awaited<ReturnType<RestoreEngine["restore"]>>,
  context: Context,
): void {
  const { backup, destination, files, rawBytes, fetchedBytes, durationSeconds } = report;
  printResult(context, {
    json: () => ({
      schema: "backupctl.restore/1",
      backup: backupDocument(backup),
      destination,
      files,
      size_bytes: rawBytes,
      fetched_bytes: fetchedBytes,
      duration_seconds: durationSeconds,
    }),
    text: () =>
      `backup ${backup.id} is restored to ${escapeControl(destination)}\n` +
      `  ${formatBytes(rawBytes)} in ${formatSeconds(durationSeconds)}\n`,
  });
}
