import { counted } from "../../domain/counted.ts";
import { PostgresError } from "../../domain/errors.ts";
import type { ClientPrograms, ConnectionOptions, Program } from "../../postgres/postgres.ts";
import { databaseArgument } from "../logical/connection_string.ts";
import type { TargetServer } from "../logical/target_server.ts";

/** What is checked in a restored server. */
export interface CheckRequest {
  /** Where the SQL and the row floors look. */
  readonly database: string;
  /** A file for psql. */
  readonly sqlFile?: string;
  /** Tables and how many rows each has at least. */
  readonly rowFloors?: readonly (readonly [table: string, rows: number])[];
  /** Check all tables and indexes; with the programs that do it. */
  readonly amcheck?: Amcheck;
}

/** `pg_amcheck`, or undefined before PostgreSQL 14, where the function is asked by SQL. */
export interface Amcheck {
  readonly program: Program | undefined;
}

/** A check and what came of it. */
export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  /** What was found, in one line. */
  readonly detail: string;
  /** There is nothing of the name that was to be checked. */
  readonly absent?: true;
}

/** What was to be checked is not there: perhaps it was only misspelt. */
class AbsentError extends PostgresError {}

/** Where the checks run. */
export interface CheckedServer {
  readonly programs: ClientPrograms;
  readonly server: TargetServer;
  readonly connection: ConnectionOptions;
  readonly psql: Program;
  readonly jobs: number;
  readonly signal?: AbortSignal;
}

/** Characters of what a program said. */
const SHOWN = 500;
/** The last ones of what a program wrote that are kept. */
const KEPT = 64 * 1024;
/** B-tree indexes are what amcheck knew before PostgreSQL 14. */
const CHECK_INDEXES = `
  CREATE EXTENSION IF NOT EXISTS amcheck;
  SELECT bt_index_check(c.oid, true)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
   WHERE a.amname = 'btree' AND c.relpersistence = 'p' AND c.relkind = 'i' AND i.indisvalid`;

/**
 * Runs every check, also after one has failed.
 *
 * @throws {BackupctlError} when the run is given up.
 */
export async function runChecks(
  where: CheckedServer,
  { database, sqlFile, rowFloors = [], amcheck }: CheckRequest,
): Promise<readonly CheckResult[]> {
  const results: CheckResult[] = [];
  if (amcheck) results.push(await checked("amcheck", where, () => runAmcheck(where, amcheck)));
  for (const [table, rows] of rowFloors) {
    const name = `rows of ${table}`;
    results.push(await checked(name, where, () => countRows(where, { database, table, rows })));
  }
  if (sqlFile !== undefined) {
    const name = `sql ${sqlFile}`;
    results.push(await checked(name, where, () => runSql(where, { database, sqlFile })));
  }
  return results;
}

/** What PostgreSQL or a program refuses is a finding; an end of the run is none. */
async function checked(
  name: string,
  { signal }: CheckedServer,
  check: () => Promise<string>,
): Promise<CheckResult> {
  try {
    return { name, ok: true, detail: await check() };
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof PostgresError)) throw error;
    const absent = error instanceof AbsentError ? { absent: true } as const : {};
    return { name, ok: false, detail: error.message, ...absent };
  }
}

/** @throws {PostgresError} with what is corrupt. */
async function runAmcheck(where: CheckedServer, { program }: Amcheck): Promise<string> {
  if (!program) return await checkIndexes(where);
  const args = ["--all", "--heapallindexed", "--install-missing", `--jobs=${where.jobs}`];
  await runProgram(where, program, args);
  return "every table and index of every database is in order";
}

/** Those that people can have put something into. */
async function databasesOf(server: TargetServer): Promise<readonly string[]> {
  return JSON.parse(
    await server.ask(
      "SELECT coalesce(json_agg(datname), '[]') FROM pg_catalog.pg_database WHERE datallowconn " +
        "AND NOT datistemplate",
    ),
  );
}

async function checkIndexes({ server }: CheckedServer): Promise<string> {
  for (const database of await databasesOf(server)) await server.ask(CHECK_INDEXES, { database });
  return "every B-tree index of every database is in order";
}

/** Counts no further than it must. */
async function countRows(
  { server }: CheckedServer,
  { database, table, rows }: {
    readonly database: string;
    readonly table: string;
    readonly rows: number;
  },
): Promise<string> {
  const literal = `'${table.replaceAll("'", "''")}'`;
  const find = `SELECT to_regclass(${literal})::text`;
  const found = await server.ask(find, { database });
  if (found === "") {
    const others: string[] = [];
    for (const other of await databasesOf(server)) {
      if (await server.ask(find, { database: other }) !== "") others.push(other);
    }
    const where = others.length > 0 ? `; there is one in ${others.join(", ")}` : "";
    throw new AbsentError(`database ${database} has no table ${table}${where}`);
  }
  const sql = `SELECT count(*) FROM (SELECT FROM ${found} LIMIT ${rows}) AS counted`;
  const count = Number(await server.ask(sql, { database }));
  if (count >= rows) return `${rows} at least, as it must have`;
  throw new PostgresError(`${counted(count, "row")}, and ${rows} are expected at least`);
}

async function runSql(
  where: CheckedServer,
  { database, sqlFile }: { readonly database: string; readonly sqlFile: string },
): Promise<string> {
  const args = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", `--file=${sqlFile}`];
  await runProgram(where, where.psql, [...args, databaseArgument(database)]);
  return "ran to its end";
}

/** @throws {PostgresError} with the last words of what it wrote, on either stream. */
async function runProgram(
  { programs, connection, signal }: CheckedServer,
  program: Program,
  args: readonly string[],
): Promise<void> {
  const running = programs.run(program, args, { connection, ...(signal && { signal }) });
  let said = "";
  const output = (async () => {
    for await (const text of running.stdout.pipeThrough(new TextDecoderStream())) {
      said = `${said}${text}`.slice(-KEPT);
    }
  })();
  try {
    await running.finished();
  } catch (error) {
    await output.catch(() => {});
    if (!(error instanceof PostgresError)) throw error;
    const words = said.trim().split("\n").map((line) => line.trim()).join("; ").slice(0, SHOWN);
    throw new PostgresError(words === "" ? error.message : `${error.message}: ${words}`);
  }
  await output;
}
