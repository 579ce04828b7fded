import type { ManifestObject } from "../../catalog/catalog.ts";
import { mapLimited } from "../../domain/map_limited.ts";
import type { DatabaseInfo, PostgresServer } from "../../postgres/postgres.ts";
import type { BackupContent, BackupParts, BackupRun } from "../parts.ts";
import { dumpDatabase, type DumpOptions } from "./dump_database.ts";
import { dumpGlobals } from "./dump_globals.ts";
import { refuseUnknown } from "./object_names.ts";

/** Dumps at a time: while one waits for its catalogue queries, the other one fills the cores. */
const DUMPS_AT_A_TIME = 2;

/**
 * Takes a logical backup: the globals, and a dump of each database in pg_dump's custom format,
 * each of one moment, but not all of the same.
 *
 * @throws {NothingMatchesError} for a database that the server does not have.
 * @throws {VersionError} when pg_dump is older than the server.
 * @throws {PostgresError} with what pg_dump said last.
 * @throws {IntegrityError} when a dump is not whole although pg_dump ended with 0.
 */
export async function takeLogicalBackup(
  parts: BackupParts,
  { slot, identity, options }: BackupRun,
): Promise<BackupContent> {
  const { programs, progress, server } = parts;
  const databases = await chooseDatabases(server, options.databases);
  const major = Math.floor(identity.version / 10_000);
  const pgDump = await programs.find("pg_dump", major);
  const pgDumpAll = await programs.find("pg_dumpall", major);
  const pgRestore = await programs.find("pg_restore", pgDump.major);
  const estimate = databases.reduce((total, { sizeBytes }) => total + (sizeBytes ?? 0), 0);
  progress.begin(
    `dumping ${databases.length} ${databases.length === 1 ? "database" : "databases"}`,
    estimate,
  );
  const globals = await dumpGlobals(parts, { slot, options, pgDumpAll });
  const names = databases.map(({ name }) => name);
  const dumps = await dumpAll(parts, names, { slot, options, pgDump, pgRestore });
  return {
    objects: [globals, ...dumps],
    timeline: null,
    startLsn: null,
    stopLsn: null,
    tablespaces: [],
    databases: databases.map(({ name, sizeBytes }) => ({ name, sizeBytes: sizeBytes ?? null })),
  };
}

/** The first failure ends the dumps that are under way. */
async function dumpAll(
  parts: BackupParts,
  names: readonly string[],
  { options, ...rest }: Omit<DumpOptions, "database">,
): Promise<ManifestObject[]> {
  const failure = new AbortController();
  const signals = options.signal ? [options.signal, failure.signal] : [failure.signal];
  const signal = AbortSignal.any(signals);
  return await mapLimited(names, DUMPS_AT_A_TIME, async (database) => {
    try {
      return await dumpDatabase(parts, { ...rest, database, options: { ...options, signal } });
    } catch (error) {
      failure.abort(error);
      throw error;
    }
  });
}

async function chooseDatabases(
  server: PostgresServer,
  wanted: readonly string[] | undefined,
): Promise<readonly DatabaseInfo[]> {
  const all = await server.databases();
  if (!wanted) return all;
  const names = all.map(({ name }) => name);
  refuseUnknown(wanted, { names, where: `on ${server.address}` });
  return all.filter(({ name }) => wanted.includes(name));
}
