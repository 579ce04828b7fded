import type { ManifestObject } from "../../catalog/catalog.ts";
import { IntegrityError, PostgresError } from "../../domain/errors.ts";
import type { DatabaseInfo, PostgresServer } from "../../postgres/postgres.ts";
import type { BackupContent, BackupParts, BackupRun } from "../parts.ts";
import { dumpDatabase, type DumpOptions } from "./dump_database.ts";
import { dumpGlobals } from "./dump_globals.ts";
import { dumpInParts } from "./dump_in_parts.ts";
import { mapUntilFailure } from "./map_until_failure.ts";
import { refuseUnknown } from "./object_names.ts";

/** Dumps at a time: while one waits for its catalogue queries, the other one fills the cores. */
const DUMPS_AT_A_TIME = 2;

/**
 * Takes a logical backup: the globals, and a dump of each database in pg_dump's custom format,
 * each of one moment, but not all of the same. Large databases may be dumped in parts.
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
  const dumps = await dumpAll(parts, databases, { slot, options, pgDump, pgRestore });
  return {
    objects: [globals, ...dumps],
    timeline: null,
    startLsn: null,
    stopLsn: null,
    tablespaces: [],
    databases: databases.map(({ name, sizeBytes }) => ({ name, sizeBytes: sizeBytes ?? null })),
    allDatabases: options.databases === undefined,
  };
}

type Dumping = Omit<DumpOptions, "database">;

/** Large databases one after the other, each in several streams; the others beside each other. */
async function dumpAll(
  parts: BackupParts,
  databases: readonly DatabaseInfo[],
  dumping: Dumping,
): Promise<ManifestObject[]> {
  const { snapshots } = parts;
  const { split, signal } = dumping.options;
  const large = databases.filter(({ sizeBytes = 0 }) =>
    snapshots && split && split.streams > 1 && sizeBytes >= split.fromBytes
  );
  const objects: ManifestObject[] = [];
  for (const { name } of large) objects.push(...await dumpLarge(parts, name, dumping));
  const rest = databases.filter((database) => !large.includes(database));
  const dumps = await mapUntilFailure(rest, {
    ...{ limit: DUMPS_AT_A_TIME, signal },
    map: ({ name }, signal) =>
      dumpDatabase(parts, {
        ...{ ...dumping, database: name, options: { ...dumping.options, signal } },
      }),
  });
  return [...objects, ...dumps];
}

/**
 * What one pg_dump can do must not fail because several cannot: somebody who waits to change a table
 * keeps the later ones from reading it.
 */
async function dumpLarge(
  parts: BackupParts,
  database: string,
  dumping: Dumping,
): Promise<readonly ManifestObject[]> {
  try {
    const objects = await dumpInParts(parts, { ...dumping, database });
    if (objects) return objects;
  } catch (error) {
    dumping.options.signal?.throwIfAborted();
    if (!(error instanceof PostgresError || error instanceof IntegrityError)) throw error;
    parts.progress.note(
      `database ${JSON.stringify(database)} is dumped again, in one stream: ${error.message}`,
    );
  }
  return [await dumpDatabase(parts, { ...dumping, database })];
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
