/** What happens to a cluster between two backups, made up by fast-check. */
import fc from "fast-check";
import type { Cluster } from "./postgres_cluster.ts";

/** The database that histories happen in. */
export const HISTORY_DATABASE = "history";

/** One thing that happens: a statement, of whose refusal nobody takes notice. */
export interface Happening {
  readonly sql: string;
}

const TABLES = ["alpha", "beta", "gamma"] as const;

const table = fc.constantFrom(...TABLES);
const rows = fc.integer({ min: 1, max: 6000 });
const part = fc.integer({ min: 2, max: 60 });

function create(name: string): string {
  return `create table ${name} (id bigserial primary key, n int, body text)`;
}

function insert(name: string, count: number): string {
  return `insert into ${name} (n, body) select i, repeat(md5(i::text), 1 + i % 9) ` +
    `from generate_series(1, ${count}) i`;
}

/** Statements; those that do nothing in the state of the moment are left out by the server. */
const happening: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(table, rows).map(([name, count]) => insert(name, count)) },
  {
    weight: 5,
    arbitrary: fc.tuple(table, part).map(([name, every]) =>
      `update ${name} set n = n + 1, body = md5(body) where id % ${every} = 0`
    ),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(table, part).map(([name, every]) =>
      `delete from ${name} where id % ${every} <> 1`
    ),
  },
  // The end of a table that is all dead is cut off.
  {
    weight: 3,
    arbitrary: table.map((name) =>
      `delete from ${name} where id > (select max(id) / 2 from ${name}); vacuum ${name}`
    ),
  },
  { weight: 2, arbitrary: table.map((name) => `truncate ${name}`) },
  { weight: 2, arbitrary: table.map((name) => `drop table ${name}; ${create(name)}`) },
  { weight: 2, arbitrary: table.map((name) => `vacuum full ${name}`) },
  { weight: 2, arbitrary: table.map((name) => `vacuum (freeze) ${name}`) },
  {
    weight: 2,
    arbitrary: table.map((name) =>
      `drop index if exists ${name}_n; create index ${name}_n on ${name} (n, body)`
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(table, fc.constantFrom("aside", "pg_default")).map(([name, where]) =>
      `alter table ${name} set tablespace ${where}`
    ),
  },
  { weight: 1, arbitrary: fc.constant("drop database if exists other; create database other") },
  {
    weight: 1,
    arbitrary: fc.constant(
      "drop database if exists copied; create database copied template history strategy file_copy",
    ),
  },
  {
    weight: 1,
    arbitrary: table.map((name) =>
      `drop table if exists lost; create unlogged table lost as table ${name}`
    ),
  },
  { weight: 1, arbitrary: fc.constant("checkpoint") },
);

/** A full backup and what happens before each of its increments. */
export function historyOf(maxLinks: number): fc.Arbitrary<readonly (readonly Happening[])[]> {
  const step = fc.array(happening.map((sql) => ({ sql })), { minLength: 0, maxLength: 6 });
  return fc.array(step, { minLength: 1, maxLength: maxLinks });
}

/** Makes the database anew, with rows in every table. */
export async function beginHistory(cluster: Cluster): Promise<void> {
  for (const name of [HISTORY_DATABASE, "other", "copied"]) {
    await cluster.query(`drop database if exists ${name}`);
  }
  await cluster.query(`create database ${HISTORY_DATABASE}`);
  for (const name of TABLES) {
    await cluster.query(create(name), { database: HISTORY_DATABASE });
    await cluster.query(insert(name, 3000), { database: HISTORY_DATABASE });
  }
}

/** Lets it happen, statement by statement. */
export async function happen(cluster: Cluster, { sql }: Happening): Promise<void> {
  const own = /database/.test(sql);
  for (const statement of sql.split("; ")) {
    const database = own ? "postgres" : HISTORY_DATABASE;
    await cluster.query(statement, { database });
  }
}

/** The rows of every table of every database, as hashes that no order changes. */
export async function clusterState(cluster: Cluster): Promise<readonly string[]> {
  const databases = await cluster.query(
    "select datname as name from pg_database where datallowconn and datname <> 'template1' order by 1",
  );
  const states: string[] = [];
  for (const { name } of databases) {
    const database = String(name);
    const tables = await cluster.query(
      "select oid::regclass::text as name from pg_class where relkind = 'r' " +
        "and relpersistence = 'p' and relnamespace = 'public'::regnamespace order by 1",
      { database },
    );
    for (const { name: table } of tables) {
      const [row] = await cluster.query(
        `select count(*)::text as rows, coalesce(sum(hashtextextended(t::text, 0)), 0)::text as hash ` +
          `from ${table} t`,
        { database },
      );
      states.push(`${database}.${table}: ${row!.rows} rows, ${row!.hash}`);
    }
    states.push(`${database}: ${tables.length} tables`);
  }
  return states;
}

/** Indexes against tables, visibility maps against pages. @throws {Error} naming what is wrong. */
export async function checkStructure(cluster: Cluster): Promise<void> {
  await cluster.run("pg_amcheck", [
    "--install-missing",
    "--heapallindexed",
    "-d",
    HISTORY_DATABASE,
  ]);
  const database = HISTORY_DATABASE;
  await cluster.query("create extension if not exists pg_visibility", { database });
  const wrong = await cluster.query(
    "select oid::regclass::text as name from pg_class c where relkind in ('r', 't', 'm') " +
      "and exists (select from pg_check_visible(c.oid))",
    { database },
  );
  if (wrong.length > 0) throw new Error(`visibility maps lie: ${JSON.stringify(wrong)}`);
}
