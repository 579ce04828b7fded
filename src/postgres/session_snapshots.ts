import { PostgresError } from "../domain/errors.ts";
import type { ConnectionOptions } from "./postgres.ts";
import { ServerRefusal } from "./server_errors.ts";
import type { HeldSnapshot, SnapshotSource, SnapshotTable } from "./snapshots.ts";
import { SqlSession } from "./sql_session.ts";

/** Tables that one statement locks. */
const LOCKED_AT_ONCE = 500;
/** Tables that come and go may get in the way. */
const MOST_TRIES = 5;
/** SQLSTATE of a table that is gone. */
const UNDEFINED_TABLE = "42P01";

/** What pg_dump locks: tables of users that the role may read. src/bin/pg_dump/pg_dump.c, getTables. */
const LOCKABLE = `
  select c.oid::text as oid, pg_catalog.format('%I.%I', n.nspname, c.relname) as quoted
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p') and c.relpersistence <> 't'
     and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     and pg_catalog.has_table_privilege(c.oid, 'SELECT')
   order by c.oid`;

const TABLES = `
  select n.nspname as schema, c.relname as name,
         coalesce(pg_catalog.pg_table_size(c.oid), 0)::text as bytes,
         exists (select from pg_catalog.pg_depend d
                  where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid
                    and d.deptype = 'e') as of_extension
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind = 'r' and c.relpersistence <> 't'
     and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   order by pg_catalog.pg_table_size(c.oid) desc nulls last, c.oid`;

const LARGE_OBJECTS = "select pg_catalog.pg_table_size('pg_catalog.pg_largeobject')::text as bytes";

/** Snapshots that a session of ours exports and holds. */
export class SessionSnapshots implements SnapshotSource {
  readonly #connection: ConnectionOptions;

  /** Contacts nobody yet. */
  constructor(connection: ConnectionOptions) {
    this.#connection = connection;
  }

  async hold(
    database: string,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<HeldSnapshot> {
    const options = signal ? { signal } : {};
    const session = await SqlSession.open({ ...this.#connection, database }, options);
    try {
      for (let turn = 1;; turn++) {
        signal?.throwIfAborted();
        const snapshot = await begin(session, { isLastTry: turn === MOST_TRIES });
        if (snapshot) return snapshot;
        await session.query("rollback");
      }
    } catch (error) {
      await session.close();
      throw error;
    }
  }
}

/**
 * Locks first, and takes the snapshot then: a table that is truncated in between would be empty in
 * it. PostgreSQL docs, "Caveats" of MVCC, and LOCK.
 *
 * @returns undefined when tables came or went meanwhile.
 */
async function begin(
  session: SqlSession,
  { isLastTry }: { readonly isLastTry: boolean },
): Promise<HeldSnapshot | undefined> {
  const before = await session.query(LOCKABLE);
  await session.query("begin isolation level repeatable read read only");
  try {
    await lock(session, before);
  } catch (error) {
    const isGone = error instanceof ServerRefusal && error.sqlstate === UNDEFINED_TABLE;
    if (!isGone || isLastTry) throw error;
    return undefined;
  }
  const [exported] = await session.query("select pg_catalog.pg_export_snapshot() as id");
  const known = new Set(before.map(({ oid }) => oid));
  const added = (await session.query(LOCKABLE)).filter(({ oid }) => !known.has(oid));
  if (added.length > 0 && !isLastTry) return undefined;
  await lock(session, added);
  return await held(session, String(exported?.["id"]));
}

async function lock(
  session: SqlSession,
  rows: readonly Readonly<Record<string, unknown>>[],
): Promise<void> {
  for (let at = 0; at < rows.length; at += LOCKED_AT_ONCE) {
    const names = rows.slice(at, at + LOCKED_AT_ONCE).map(({ quoted }) => `only ${quoted}`);
    await session.query(`lock table ${names.join(", ")} in access share mode`);
  }
}

async function held(session: SqlSession, id: string): Promise<HeldSnapshot> {
  const tables = (await session.query(TABLES)).map((row): SnapshotTable => ({
    schema: String(row["schema"]),
    name: String(row["name"]),
    bytes: Number(row["bytes"]),
    ofExtension: row["of_extension"] === true,
  }));
  const [large] = await session.query(LARGE_OBJECTS);
  return {
    ...{ id, tables, largeObjectBytes: Number(large?.["bytes"] ?? 0) },
    async check() {
      const [row] = await session.query("select pg_catalog.pg_backend_pid() as pid");
      if (!row) throw new PostgresError("the session that holds the snapshot does not answer");
    },
    [Symbol.asyncDispose]: () => session.close(),
  };
}
