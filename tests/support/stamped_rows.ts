/** Rows of which each says which transaction wrote it last: a stale page in a copy shows. */
import assert from "node:assert/strict";
import type { Cluster } from "./postgres_cluster.ts";

/** The database with the tables `stamped` and `ledger`. */
export const STAMPS = "stamps";
const ROWS = 24_000;
/** Transaction n writes every row whose id leaves the same remainder as n. */
const STRIDE = 40;

/** Creates the database. Half of each page is free: rows are written in place, no file grows. */
export async function makeStamps(cluster: Cluster): Promise<void> {
  await cluster.query(`create database ${STAMPS}`);
  await cluster.query(
    `create table stamped (id int primary key, n int not null, filler text)
       with (fillfactor = 45, autovacuum_enabled = off);
     create table ledger (n int primary key);
     insert into stamped select i, 0, repeat(md5(i::text), 4) from generate_series(1, ${ROWS}) i;
     create extension amcheck`,
    { database: STAMPS },
  );
  await cluster.query("vacuum (freeze, analyze)", { database: STAMPS });
  await cluster.query("checkpoint");
}

/** Transactions that write rows in place, one after the other. */
export class StampLoad {
  readonly #cluster: Cluster;
  #last = 0;
  #stopped = false;
  #running: Promise<void> | undefined;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** The number of the last transaction that was acknowledged. */
  get last(): number {
    return this.#last;
  }

  /** One transaction. */
  async write(): Promise<void> {
    const n = this.#last + 1;
    await this.#cluster.query(
      `begin;
       update stamped set n = ${n} where id % ${STRIDE} = ${n % STRIDE};
       insert into ledger values (${n});
       commit`,
      { database: STAMPS },
    );
    this.#last = n;
  }

  /** Writes until {@link stop}. */
  start(): void {
    this.#stopped = false;
    this.#running = (async () => {
      while (!this.#stopped) await this.write();
    })();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }
}

/**
 * Every row of a copy is as the transactions up to one and the same have left it, that one is from
 * `least` to `most`, and tables and indexes pass pg_amcheck.
 */
export async function assertStamps(
  copy: Cluster,
  { least, most, what }: { readonly least: number; readonly most: number; readonly what: string },
): Promise<void> {
  const [row] = await copy.query(
    `with ledger as (select count(*)::int as entries, coalesce(max(n), 0) as last from ledger),
       judged as (
         select s.n, last - ((last - id) % ${STRIDE} + ${STRIDE}) % ${STRIDE} as due
           from stamped s, ledger)
     select entries, last, (select count(*)::int from judged) as rows,
       (select count(*)::int from judged where n <> greatest(due, 0)) as stale from ledger`,
    { database: STAMPS },
  );
  assert.ok(row);
  const { entries, last, rows, stale } = row;
  assert.deepEqual({ entries, rows, stale }, { entries: last, rows: ROWS, stale: 0 }, what);
  const n = Number(last);
  assert.ok(n >= least && n <= most, `${what}: up to ${n}, not from ${least} to ${most}`);
  await copy.run("pg_amcheck", ["--heapallindexed", "-d", STAMPS]);
}
