import type { BackupManifest } from "../../catalog/catalog.ts";
import { IntegrityError, NothingMatchesError, UsageError } from "../../domain/errors.ts";
import type { DrillOptions, DrillReport } from "../../engine/drill/drill.ts";
import type { RecoveryPlan, RecoveryRequest, RestoreParts } from "../../engine/engine.ts";
import { needsOf, whileHeld } from "../../engine/hold_lease.ts";
import { fetchCommand } from "../../engine/recovery/recovery_settings.ts";
import { parseRecoveryRequest } from "../../engine/recovery/recovery_target.ts";
import { checkIdentity } from "../check_identity.ts";
import type { Command, Context } from "../context.ts";
import { keepDrill } from "../drill/keep_drill.ts";
import { failedChecks, printDrill } from "../drill/print_drill.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { openLeases } from "../open_leases.ts";
import { openCatalog, openCodecs, openPrograms, openStore, resolveServer } from "../open_parts.ts";
import { ownCommand, serverEnvironment } from "../own_command.ts";
import { openSession, type Session } from "../session.ts";
import { trackRun } from "../track_run.ts";

type Line = CommandOf<"drill">;

/** Restores a backup into a scratch server and checks it. Exit status 8 when a check fails. */
export const drill: Command<Line> = async (line, context) => {
  const request = recoveryRequest(line);
  if (line.sql !== undefined) await checkFile(line.sql);
  await using session = await openSession(context, "drill");
  const { config } = session.loaded;
  await checkIdentity(config, { rollsForward: request !== undefined });
  const store = await openStore(config, session.log);
  using codecs = await openCodecs(config, line.jobs);
  const parts: RestoreParts = {
    repository: await openCatalog(store, config),
    store,
    codecs,
    programs: await openPrograms(config, context),
    progress: session.progress,
  };
  try {
    const { backup, recovery } = await choose(line, { parts, request, context });
    const options = await drillOptions(line, { session, context, recovery });
    const report = await run(backup, { parts, options, recovery, session, context });
    if (!line.quiet || line.output === "json" || failedChecks(report).length > 0) {
      printDrill(report, { recovery, context });
    }
    refuseFailed(report);
    return 0;
  } finally {
    await store.close?.();
  }
};

/** Before anything is restored for it. @throws {UsageError} when it is not there. */
async function checkFile(path: string): Promise<void> {
  try {
    await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new UsageError(`there is no file ${path}`);
  }
}

/** @throws {UsageError} */
function recoveryRequest(line: Line): RecoveryRequest | undefined {
  const { to, toLsn, toXid, toName, timeline, immediate, latest, exclusive } = line;
  return parseRecoveryRequest({
    ...(to !== undefined && { to }),
    ...(toLsn !== undefined && { toLsn }),
    ...(toXid !== undefined && { toXid }),
    ...(toName !== undefined && { toName }),
    ...(timeline !== undefined && { timeline }),
    ...{ immediate, latest, exclusive, standby: false },
  });
}

interface Chosen {
  readonly backup: BackupManifest;
  readonly recovery: RecoveryPlan | undefined;
}

async function choose(
  { backupId }: Line,
  { parts, request, context: { signal } }: {
    readonly parts: RestoreParts;
    readonly request: RecoveryRequest | undefined;
    readonly context: Context;
  },
): Promise<Chosen> {
  const { RestoreEngine } = await import("../../engine/engine.ts");
  const engine = new RestoreEngine(parts);
  if (!request) return { backup: await engine.choose(backupId, signal), recovery: undefined };
  const named = backupId === undefined ? {} : { backupId };
  const recovery = await engine.planRecovery(request, { ...named, signal });
  return { backup: recovery.backup, recovery };
}

async function drillOptions(
  line: Line,
  { session: { loaded }, context, recovery }: {
    readonly session: Session;
    readonly context: Context;
    readonly recovery: RecoveryPlan | undefined;
  },
): Promise<DrillOptions> {
  const { env, options: { config }, clock, signal } = context;
  const { destination, database, sql, minRows, amcheck, keepScratch } = line;
  const configured = loaded.config.backup.jobs;
  const auto = Math.min(navigator.hardwareConcurrency, 8);
  const { user } = await resolveServer(loaded.config, context);
  return {
    ...{ amcheck, keepScratch, clock, signal, env: serverEnvironment(env), uid: Deno.uid() },
    roles: ["postgres", user],
    jobs: line.jobs ?? (configured === "auto" ? auto : configured),
    memoryMb: Math.floor(Deno.systemMemoryInfo().total / 2 ** 20),
    ...(destination !== undefined && { scratch: destination }),
    ...(database !== undefined && { database }),
    ...(sql !== undefined && { sqlFile: sql }),
    ...(minRows.length > 0 && { rowFloors: minRows }),
    ...(recovery && {
      recovery: {
        request: recovery.request,
        timeline: recovery.timeline,
        restoreCommand: fetchCommand(ownCommand(loaded, { env, config })),
      },
    }),
  };
}

interface Run {
  readonly parts: RestoreParts;
  readonly options: DrillOptions;
  readonly recovery: RecoveryPlan | undefined;
  readonly session: Session;
  readonly context: Context;
}

/** The drill itself, tracked, and its outcome kept in the repository. */
async function run(
  backup: BackupManifest,
  { parts, options, recovery, session, context }: Run,
): Promise<DrillReport> {
  const { drill } = await import("../../engine/drill/drill.ts");
  let report: DrillReport | undefined;
  try {
    await trackRun(session, context, {
      task: "drill",
      operation: "drill",
      what: `drill of backup ${backup.id}`,
      backup,
      work: async () => {
        const startedAt = context.clock.now();
        const keeping = { startedAt, recovery, clock: context.clock, progress: session.progress };
        try {
          const leases = await openLeases(parts.store, session.loaded.config);
          const needs = needsOf(backup, { rollsForward: recovery !== undefined });
          const { progress } = session;
          const what = `drill of backup ${backup.id}`;
          report = await whileHeld(
            { leases, progress, kind: "restore", what, needs, signal: context.signal },
            () => drill(parts, backup, options),
          );
        } catch (error) {
          context.signal.throwIfAborted();
          await keepDrill(parts.store, { backup, error, ...keeping });
          throw error;
        }
        await keepDrill(parts.store, { backup, report, ...keeping });
        refuseFailed(report);
        return report;
      },
      result: ({ rawBytes, fetchedBytes }) => ({ backup, rawBytes, storedBytes: fetchedBytes }),
    });
  } catch (error) {
    if (!report || context.signal.aborted) throw error;
  }
  return report!;
}

/**
 * @throws {IntegrityError}
 * @throws {NothingMatchesError} when all that failed is what was not there to be checked.
 */
function refuseFailed(report: DrillReport): void {
  const all = failedChecks(report);
  const found = all.filter(({ absent }) => !absent);
  const failed = found.length > 0 ? found : all;
  const [first] = failed;
  if (!first) return;
  const more = failed.length > 1 ? `, and ${failed.length - 1} more` : "";
  if (found.length === 0) {
    throw new NothingMatchesError(
      `${first.detail}${more}, in the restored backup ${report.backup.id}`,
      "--database says where to look; what is spelt right was not there when the backup was taken",
    );
  }
  throw new IntegrityError(
    `the drill of backup ${report.backup.id} failed: ${first.name}: ${first.detail}${more}`,
    report.kept === undefined ? undefined : keptHint(report.kept),
  );
}

function keptHint(folder: string): string {
  return `the restored copy is kept in ${folder}; the next drill removes it, or rm -r`;
}
