import type { BackupManifest } from "../../catalog/catalog.ts";
import { DestinationError, UsageError } from "../../domain/errors.ts";
import type {
  RecoveryPlan,
  RecoveryRequest,
  RestoreEngine,
  RestoreOptions,
} from "../../engine/engine.ts";
import { fetchCommand } from "../../engine/recovery/recovery_settings.ts";
import { parseRecoveryRequest } from "../../engine/recovery/recovery_target.ts";
import type { ClientPrograms } from "../../postgres/postgres.ts";
import { chosenDatabases } from "../backup_document.ts";
import { checkIdentity } from "../check_identity.ts";
import type { Command, Context } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { openLeases } from "../open_leases.ts";
import { openCatalog, openCodecs, openPrograms, openStore, resolveServer } from "../open_parts.ts";
import { printRestorePlan } from "../restore_plan.ts";
import { ownCommand, secretVariables } from "../own_command.ts";
import { printRestored } from "../restored_report.ts";
import { openSession, type Session } from "../session.ts";
import { checkStart, startServer } from "../start_server.ts";
import { tellRolledBack } from "../tell_rolled_back.ts";
import { trackRun } from "../track_run.ts";

type Line = CommandOf<"restore">;

/** Restores a backup, or says what a restore would do. */
export const restore: Command<Line> = async (line, context) => {
  checkTarget(line);
  const request = recoveryRequest(line);
  await using session = await openSession(context, "restore");
  const { config } = session.loaded;
  await checkIdentity(config, { rollsForward: request !== undefined });
  const given = await restoreOptions(line, { session, context });
  const store = await openStore(config, session.log);
  using codecs = await openCodecs(config, line.jobs);
  const { RestoreEngine } = await import("../../engine/engine.ts");
  const programs = await openPrograms(config, context);
  const engine = new RestoreEngine({
    repository: await openCatalog(store, config),
    store,
    codecs,
    programs,
    progress: session.progress,
    leases: await openLeases(store, config),
  });
  try {
    const { signal } = context;
    const recovery = request && await engine.planRecovery(request, {
      ...(line.backupId !== undefined && { backupId: line.backupId }),
      signal,
    });
    const backup = recovery?.backup ?? await engine.choose(line.backupId, signal);
    checkPhysicalFlags(line, backup);
    const isAsked = line.backupId !== undefined || recovery !== undefined;
    await tellRolledBack(store, { session, isAsked, signal });
    const chosen = isAsked ? undefined : chosenDatabases(backup);
    if (chosen) session.progress.note(`the newest backup, ${backup.id}, holds only ${chosen}`);
    const options = recovery ? withRecovery(given, recovery, { session, context }) : given;
    const parts = { line, engine, programs, options, recovery, session, context };
    if (line.plan) return await plan(backup, parts);
    await run(backup, parts);
    return 0;
  } finally {
    await store.close?.();
  }
};

/** @throws {UsageError} unless exactly one target is given. */
function checkTarget(line: Line): void {
  if (line.force && !line.delta) {
    throw new UsageError(
      "--force goes with --delta: without it nothing is ever overwritten",
      "add --delta to overwrite a data directory",
    );
  }
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

/** @throws {UsageError} when only a physical backup could do what is asked. */
function checkPhysicalFlags(line: Line, backup: BackupManifest): void {
  const flag = line.start
    ? "--start"
    : line.keepArchiving
    ? "--keep-archiving"
    : line.delta
    ? "--delta"
    : undefined;
  if (flag === undefined || backup.method === "physical") return;
  throw new UsageError(
    `${flag} goes with a physical backup, and ${backup.id} is a logical one`,
    "leave it out, or name a physical backup with --backup-id",
  );
}

/** @throws {UsageError} */
function recoveryRequest(line: Line): RecoveryRequest | undefined {
  const { to, toLsn, toXid, toName, timeline, action } = line;
  const request = parseRecoveryRequest({
    ...(to !== undefined && { to }),
    ...(toLsn !== undefined && { toLsn }),
    ...(toXid !== undefined && { toXid }),
    ...(toName !== undefined && { toName }),
    ...(timeline !== undefined && { timeline }),
    ...(action !== undefined && { action }),
    immediate: line.immediate,
    latest: line.latest,
    exclusive: line.exclusive,
    standby: line.standby,
  });
  if (!request || line.destination !== undefined) return request;
  throw new UsageError(
    "rolling forward needs a data directory of its own, and --into names a live server",
    "give --destination FOLDER instead",
  );
}

function withRecovery(
  options: RestoreOptions,
  { request, timeline, notes }: RecoveryPlan,
  { session, context }: { readonly session: Session; readonly context: Context },
): RestoreOptions {
  const { env, options: { config } } = context;
  const restoreCommand = fetchCommand(ownCommand(session.loaded, { env, config }));
  const secrets = secretVariables(env);
  for (const note of notes) session.progress.note(note);
  if (secrets.length > 0) {
    session.progress.note(
      `the server needs ${secrets.join(", ")} in its environment to fetch the WAL`,
    );
  }
  return { ...options, recovery: { request, timeline, restoreCommand } };
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
    ...(line.tables.length > 0 && { tables: line.tables }),
    ...(line.keepArchiving && { keepArchiving: true }),
    ...(line.delta && { delta: true, force: line.force }),
    ...(line.tablespaceMap.length > 0 && { tablespaceMap: new Map(line.tablespaceMap) }),
    signal: context.signal,
  };
}

interface Run {
  readonly line: Line;
  readonly engine: RestoreEngine;
  readonly programs: ClientPrograms;
  readonly recovery: RecoveryPlan | undefined;
  readonly options: RestoreOptions;
  readonly session: Session;
  readonly context: Context;
}

/** Exit status 9 when the restore could not start as things are. */
async function plan(
  backup: BackupManifest,
  { engine, options, recovery, session, context }: Run,
): Promise<number> {
  const found = await engine.plan(backup, options);
  session.progress[Symbol.dispose]();
  printRestorePlan(found, { recovery, context });
  return found.obstacles.length === 0 ? 0 : new DestinationError("").exitCode;
}

async function run(backup: BackupManifest, parts: Run): Promise<void> {
  const { line, engine, programs, options, recovery, session, context } = parts;
  if (line.start) await checkStart(backup, programs);
  const report = await trackRun(session, context, {
    task: "restore",
    operation: "restore",
    what: `restore of backup ${backup.id}`,
    backup,
    work: () => engine.restore(backup, options),
    result: ({ rawBytes, fetchedBytes }) => ({ backup, rawBytes, storedBytes: fetchedBytes }),
  });
  const server = line.start
    ? await startServer(
      { backup, dataDirectory: report.destination, request: recovery?.request },
      { programs, session, context },
    )
    : undefined;
  session.progress[Symbol.dispose]();
  if (!line.quiet || line.output === "json") {
    printRestored(report, { recovery, server, keepArchiving: line.keepArchiving, context });
  }
}
