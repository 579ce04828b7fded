import type { BackupManifest } from "../../catalog/catalog.ts";
import type { Clock } from "../../domain/clock.ts";
import {
  BackupctlError,
  IntegrityError,
  PartialError,
  PostgresError,
  VersionError,
} from "../../domain/errors.ts";
import type { ClientPrograms } from "../../postgres/postgres.ts";
import type { RestoreOptions, RestoreParts, RestoreReport } from "../parts.ts";
import type { RecoverySettings } from "../recovery/recovery_settings.ts";
import { RestoreEngine } from "../restore_engine.ts";
import { refuseUnknown } from "../logical/object_names.ts";
import { type Amcheck, type CheckRequest, type CheckResult, runChecks } from "./run_checks.ts";
import { createCluster } from "./create_cluster.ts";
import { ScratchFolder } from "./scratch_folder.ts";
import { ScratchServer, type ScratchServerOptions, stopAbandoned } from "./scratch_server.ts";

/** What a drill does besides restoring and opening. */
export interface DrillOptions
  extends Pick<ScratchServerOptions, "env" | "uid" | "memoryMb" | "clock"> {
  /** An absent or empty folder; a temporary one when absent. */
  readonly scratch?: string;
  /** Physical: roll forward from the backup's end. */
  readonly recovery?: RecoverySettings;
  /** Where SQL and row floors look. @default {the backup's only database, or postgres} */
  readonly database?: string;
  readonly sqlFile?: string;
  readonly rowFloors?: CheckRequest["rowFloors"];
  readonly amcheck: boolean;
  /** Leave the scratch folder where it is. */
  readonly keepScratch: boolean;
  /** Roles that the cluster may have, to ask it for its superuser. */
  readonly roles: readonly string[];
  readonly jobs: number;
  readonly signal?: AbortSignal;
}

/** What a drill came to. */
export interface DrillReport {
  readonly backup: BackupManifest;
  /** From the beginning until the server was open, with everything in it. */
  readonly recoverySeconds: number;
  /** Of those, until the backup's own bytes were in place. */
  readonly restoreSeconds: number;
  readonly rawBytes: number;
  readonly fetchedBytes: number;
  /** In the words of the server's log. */
  readonly lastCommit: string | undefined;
  readonly checks: readonly CheckResult[];
  /** Where the scratch folder still is. */
  readonly kept: string | undefined;
}

const AMCHECK_SINCE = 14;
const AMCHECK_AVAILABLE =
  "SELECT count(*) FROM pg_catalog.pg_available_extensions WHERE name = 'amcheck'";

/**
 * Restores a backup into a scratch folder, opens it as a server that nobody can reach, and checks
 * it. The server is stopped in any case; the folder is removed, but for one that is to be kept, or
 * in which a check failed: that one stays until the next drill, so that there is never more than one
 * of a cluster. Checks that failed are in the report.
 *
 * @throws {NothingMatchesError} when the backup does not have the database.
 * @throws {IntegrityError} when the backup is damaged, or cannot be restored whole.
 * @throws {PostgresError} when the restored server does not open.
 */
export async function drill(
  parts: RestoreParts,
  backup: BackupManifest,
  options: DrillOptions,
): Promise<DrillReport> {
  const { programs, progress } = parts;
  // One that is rolled forward may get more of them.
  if (!options.recovery) refuseDatabase(options.database, { backup, names: namesOf(backup) });
  const amcheck = options.amcheck ? await findAmcheck(programs, backup) : undefined;
  await programs.find("psql", majorOf(backup));
  const folder = await ScratchFolder.make(options.scratch, {
    ...{ uid: options.uid, repository: parts.repository.location },
    stop: (dataDirectory) => stopAbandoned(programs, { uid: options.uid, dataDirectory, backup }),
    note: (text) => progress.note(text),
  });
  const forGood = options.keepScratch;
  let keep = forGood;
  try {
    const server = await ScratchServer.open(programs, folder, backup);
    const run = { parts, backup, options, folder, server };
    try {
      const opened = backup.method === "physical" ? await openCopy(run) : await openDumps(run);
      const checks = await check(run, amcheck);
      const isWhole = checks.every(({ ok, absent }) => ok || absent);
      keep ||= !isWhole;
      return { backup, ...opened, checks, kept: keep ? folder.path : undefined };
    } catch (error) {
      if (didNotOpen(error)) keep = true;
      throw error;
    } finally {
      progress.begin("stopping the scratch server");
      await server.stop({ atOnce: options.signal?.aborted ?? false });
    }
  } finally {
    const until = forGood ? "" : ` (until the next drill of ${backup.cluster}, or rm -r)`;
    if (keep) progress.note(`the scratch folder is kept: ${folder.path}${until}`);
    await folder.remove({ keep, forGood });
  }
}

interface Run {
  readonly parts: RestoreParts;
  readonly backup: BackupManifest;
  readonly options: DrillOptions;
  readonly folder: ScratchFolder;
  readonly server: ScratchServer;
}

type Opened = Omit<DrillReport, "backup" | "checks" | "kept">;

/** Somebody will want to look at it; a damaged object needs no folder to be understood. */
function didNotOpen(error: unknown): boolean {
  return error instanceof PostgresError;
}

/** A physical backup: the copy is the cluster. */
async function openCopy({ parts, backup, options, folder, server }: Run): Promise<Opened> {
  const { recovery, clock, signal } = options;
  const start = clock.monotonic();
  const restored = await restore(parts, backup, {
    destination: folder.dataDirectory,
    tablespaceMap: new Map(
      backup.tablespaces.map(({ oid, location }) => [location, folder.tablespace(oid)]),
    ),
    jobs: options.jobs,
    ...(recovery && { recovery }),
    ...(signal && { signal }),
  });
  const restoreSeconds = secondsSince(clock, start);
  const ownsConfiguration = await folder.completeConfiguration();
  parts.progress.begin("opening the scratch server");
  const { lastCommit } = await server.start({
    ...{ ...serverOptions(options), backup, ownsConfiguration },
    ...(recovery && { request: recovery.request }),
  });
  return {
    ...{ restoreSeconds, recoverySeconds: secondsSince(clock, start), lastCommit },
    ...bytesOf(restored),
  };
}

/** A logical backup: the dumps go into a new cluster. */
async function openDumps({ parts, backup, options, folder, server }: Run): Promise<Opened> {
  const { clock, signal, jobs } = options;
  const start = clock.monotonic();
  await createCluster(parts.programs, { folder, backup, ...(signal && { signal }) });
  await server.start({ ...serverOptions(options), backup, ownsConfiguration: true });
  const into = server.connection("postgres");
  const restored = await restore(parts, backup, {
    ...{ into, jobs, inPlaceTablespaces: true, ...(signal && { signal }) },
  }).catch((error) => {
    throw error instanceof PartialError || error instanceof PostgresError
      ? new IntegrityError(`the backup cannot be restored whole: ${error.message}`, error.hint, {
        cause: error,
      })
      : error;
  });
  const seconds = secondsSince(clock, start);
  return {
    ...{ restoreSeconds: seconds, recoverySeconds: seconds, lastCommit: undefined },
    ...bytesOf(restored),
  };
}

/** Whatever a restore leaves behind is removed here: nobody has to hear of it. */
async function restore(
  parts: RestoreParts,
  backup: BackupManifest,
  options: RestoreOptions,
): Promise<RestoreReport> {
  const { progress } = parts;
  const quiet = {
    begin: (step: string, total?: number) => progress.begin(step, total),
    advance: (bytes: number) => progress.advance(bytes),
    note: () => {},
  };
  try {
    return await new RestoreEngine({ ...parts, progress: quiet }).restore(backup, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    const cause = error instanceof BackupctlError ? error.cause : undefined;
    const isSame = cause instanceof BackupctlError && error instanceof BackupctlError &&
      cause.code === error.code && error.message.startsWith(cause.message);
    throw isSame ? cause : error;
  }
}

function serverOptions({ env, uid, memoryMb, clock, signal }: DrillOptions) {
  return { env, uid, memoryMb, clock, ...(signal && { signal }) };
}

function bytesOf({ rawBytes, fetchedBytes }: RestoreReport) {
  return { rawBytes, fetchedBytes };
}

async function check(
  { parts: { programs, progress }, backup, options, server }: Run,
  amcheck: Amcheck | undefined,
): Promise<readonly CheckResult[]> {
  const { database = onlyDatabase(backup), sqlFile, rowFloors, jobs, signal } = options;
  const abort = signal ? { signal } : {};
  progress.begin("checking");
  const found = await server.sql([...options.roles, "postgres"], { backup, ...abort });
  if (amcheck && await found.server.ask(AMCHECK_AVAILABLE) === "0") {
    throw new VersionError(
      `this machine's PostgreSQL ${majorOf(backup)} comes without the extension amcheck`,
      "install its contrib modules, or leave --amcheck out",
    );
  }
  const names = [...await found.server.names("datname", "pg_database")];
  refuseDatabase(options.database, { backup, names });
  const psql = await programs.find("psql", majorOf(backup));
  return await runChecks({ programs, psql, jobs, ...found, ...abort }, {
    database,
    ...(sqlFile !== undefined && { sqlFile }),
    ...(rowFloors && { rowFloors }),
    ...(amcheck && { amcheck }),
  });
}

/** @throws {NothingMatchesError} */
function refuseDatabase(
  name: string | undefined,
  { backup, names }: { readonly backup: BackupManifest; readonly names: readonly string[] },
): void {
  if (name !== undefined) refuseUnknown([name], { names, where: `in backup ${backup.id}` });
}

function namesOf({ databases }: BackupManifest): readonly string[] {
  return databases.map(({ name }) => name);
}

/** The one besides `postgres`, when there is one; otherwise that. */
function onlyDatabase({ databases }: BackupManifest): string {
  const others = databases.filter(({ name }) => name !== "postgres");
  return others.length === 1 ? others[0]!.name : "postgres";
}

/** @throws {VersionError} before anything is restored. */
async function findAmcheck(programs: ClientPrograms, backup: BackupManifest): Promise<Amcheck> {
  const major = majorOf(backup);
  if (major < AMCHECK_SINCE) return { program: undefined };
  return { program: await programs.find("pg_amcheck", major) };
}

function majorOf({ postgresVersion }: BackupManifest): number {
  return Math.floor(postgresVersion / 10_000);
}

function secondsSince(clock: Clock, start: number): number {
  return Math.round(clock.monotonic() - start) / 1000;
}
