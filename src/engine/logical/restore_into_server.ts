import { IntegrityError } from "../../domain/errors.ts";
import type { ConnectionOptions } from "../../postgres/postgres.ts";
import type { RestoreParts } from "../parts.ts";
import { withLeftovers } from "../with_leftovers.ts";
import { type DatabaseDump, databaseDumps } from "./database_dumps.ts";
import type { DumpSelection } from "./object_names.ts";
import { withRawObject } from "./open_dump.ts";
import type { RestoreRun } from "./plan_logical_restore.ts";
import type { RestoreComplaints } from "./restore_complaints.ts";
import { type DatabaseTarget, restoreDatabase } from "./restore_database.ts";
import { restoreGlobals } from "./restore_globals.ts";
import { restoreInParts } from "./restore_in_parts.ts";
import { fitsSpool, temporaryFolder } from "./spool_dump.ts";
import { chooseTables } from "./table_choice.ts";
import { TargetServer } from "./target_server.ts";

/** What PostgreSQL refused. */
export interface IntoReport {
  readonly errors: readonly string[];
  /** Databases that pg_restore gave up. */
  readonly failed: number;
}

/** Restores globals and databases into a live server, one database after the other. */
export async function restoreIntoServer(
  parts: RestoreParts,
  { backup, options: { jobs, inPlaceTablespaces = false, tables, signal } }: RestoreRun,
  { connection, selection }: {
    readonly connection: ConnectionOptions;
    readonly selection: DumpSelection;
  },
): Promise<IntoReport> {
  const abort = signal ? { signal } : {};
  const server = await TargetServer.open(parts.programs, { connection, backup, ...abort });
  const major = await server.major();
  noteOlderServer(parts, { major, version: backup.postgresVersion });
  noteOwnNames(parts, { selection, connection });
  const globals = await restoreAllGlobals(parts, {
    server,
    run: { backup, selection, inPlaceTablespaces, ...abort },
  });
  const errors = [...globals.errors];
  let failed = 0;
  for (const dump of databaseDumps(backup, selection.dumps)) {
    const { database } = dump;
    const existing = await server.names("datname", "pg_database");
    const target = {
      ...{ server, major, connection, jobs },
      ...(tables && { tables: chooseTables(tables) }),
      create: !existing.has(database),
      withoutTablespaces: globals.missingTablespaces.length > 0,
      spool: "whole" in dump && await shouldSpool(parts, { jobs, bytes: dump.whole.rawBytes }),
    };
    const report = await restoreDump(parts, { backup, dump, ...abort }, target)
      .catch((error) => {
        // A spooled dump is refused before pg_restore has seen any of it.
        if (target.spool && error instanceof IntegrityError) throw error;
        const left = halfFilled(database, server.address);
        parts.progress.note(left);
        throw withLeftovers(signal?.aborted ? signal.reason : error, left);
      });
    errors.push(...report.errors.map((error) => `database ${JSON.stringify(database)}: ${error}`));
    if (report.gaveUp) failed += 1;
  }
  parts.progress.note("dumps hold no statistics: run ANALYZE, or vacuumdb --all --analyze-only");
  return { errors, failed };
}

async function restoreDump(
  parts: RestoreParts,
  { dump, ...source }: {
    readonly backup: RestoreRun["backup"];
    readonly dump: DatabaseDump;
    readonly signal?: AbortSignal;
  },
  target: DatabaseTarget,
): Promise<RestoreComplaints> {
  if ("whole" in dump) {
    return await restoreDatabase(parts, { ...source, object: dump.whole }, target);
  }
  return await restoreInParts(parts, { ...source, dump }, target);
}

function halfFilled(database: string, where: string): string {
  const name = JSON.stringify(database);
  return `database ${name} on ${where} may be half filled: drop it before the next attempt`;
}

async function restoreAllGlobals(
  parts: RestoreParts,
  { server, run: { backup, selection, inPlaceTablespaces, signal } }: {
    readonly server: TargetServer;
    readonly run: Pick<RestoreRun, "backup"> & {
      readonly selection: DumpSelection;
      readonly inPlaceTablespaces: boolean;
      readonly signal?: AbortSignal;
    };
  },
) {
  const object = selection.globals;
  if (!object) return { errors: [], missingTablespaces: [] };
  const source = { backup, object, ...(signal && { signal }) };
  const sql = await withRawObject(parts, source, (raw) => new Response(raw).text());
  const report = await restoreGlobals(server, sql, { inPlaceTablespaces });
  const { kept, missingTablespaces } = report;
  if (kept > 0) {
    parts.progress.note(`${kept} ${kept === 1 ? "role was" : "roles were"} there and left as is`);
  }
  if (missingTablespaces.length > 0) {
    parts.progress.note(
      `${server.address} has no tablespace ${missingTablespaces.join(", ")}: ` +
        "everything goes into the default one",
    );
  }
  return report;
}

function noteOlderServer(
  { progress }: RestoreParts,
  { major, version }: { readonly major: number; readonly version: number },
): void {
  const from = Math.floor(version / 10_000);
  if (major >= from) return;
  progress.note(`the backup is of PostgreSQL ${from}, the server is ${major}: it may refuse parts`);
}

/** Several jobs need a file; without room for it one job reads the dump as it comes. */
async function shouldSpool(
  { progress }: RestoreParts,
  { jobs, bytes }: { readonly jobs: number; readonly bytes: number },
): Promise<boolean> {
  if (jobs <= 1) return false;
  if (await fitsSpool(bytes)) return true;
  progress.note(
    `${await temporaryFolder()} has no room for the dump: pg_restore runs with one job; TMPDIR names another folder`,
  );
  return false;
}

/** Whoever names another database in the URL may expect the dump there. */
function noteOwnNames(
  { progress }: RestoreParts,
  { selection: { dumps }, connection }: {
    readonly selection: DumpSelection;
    readonly connection: Pick<ConnectionOptions, "database">;
  },
): void {
  const names = new Set(dumps.map(({ database }) => database));
  if (connection.database === "postgres" || names.has(connection.database)) return;
  progress.note(
    `a dump goes back under its own name; ${
      JSON.stringify(connection.database)
    } is connected to only`,
  );
}
