import { PostgresError } from "../domain/errors.ts";
import type { ConnectionOptions, PostgresServer, ServerIdentity } from "../postgres/postgres.ts";
import { type Check, failed, ok, warning } from "./checks.ts";
import { openServer } from "./open_parts.ts";

const NAME = "dump rights";

/** What pg_dump would stumble over: it locks each table and reads it, and reads each sequence. */
const UNREADABLE = `
  select pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) as name,
         count(*) over ()::text as total
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'S') and c.relpersistence <> 't'
     and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     and not (pg_catalog.has_schema_privilege(n.oid, 'usage')
              and case c.relkind when 'S' then pg_catalog.has_sequence_privilege(c.oid, 'select')
                  else pg_catalog.has_table_privilege(c.oid, 'select') end)
   order by 1 limit 1`;

/** Whether the role may dump, and in words what keeps it from that. */
export interface DumpRights {
  readonly check: Check;
  /** False: a logical backup of the whole server would fail. */
  readonly possible: boolean;
}

/** Asks every database that a logical backup would hold. @throws {PostgresError} */
export async function checkDumpRights(
  server: PostgresServer,
  { connection, identity }: {
    readonly connection: ConnectionOptions;
    readonly identity: ServerIdentity;
  },
): Promise<DumpRights> {
  const role = await readRole(server, identity);
  const { name } = role;
  if (role.isSuperuser) return { check: ok(NAME, `${name} is a superuser`), possible: true };
  if (role.readsAll) {
    const check = warning(
      NAME,
      `${name} may read every table, but not the roles' passwords`,
      "roles are backed up without passwords; only a superuser may read them",
    );
    return { check, possible: true };
  }
  const fault = await firstFault(server, connection);
  const remedy = identity.version >= 140_000
    ? `GRANT pg_read_all_data TO ${name}`
    : "make the role a superuser, or grant it SELECT on everything";
  if (fault === undefined) {
    const readable = `${name} may read every table that there is, and none that is made later`;
    return { check: warning(NAME, readable, `to dump those, too: ${remedy}`), possible: true };
  }
  const message = `${name} ${fault}, so a logical backup of the whole server fails`;
  const hint = `${remedy}, or back up single databases with --database`;
  return { check: warning(NAME, message, hint), possible: false };
}

/** The failure of a role that can take neither kind of backup, or not the one that is configured. */
export function noBackupPossible({ check }: DumpRights): Check {
  return failed(
    NAME,
    new PostgresError(
      check.message,
      `${check.hint}; for physical backups: ALTER ROLE … REPLICATION, and a line for ` +
        "replication in pg_hba.conf",
    ),
  );
}

/** pg_dump reads every table; pg_read_all_data has that right since PostgreSQL 14. */
async function readRole(server: PostgresServer, { version }: ServerIdentity) {
  const all = version >= 140_000
    ? "pg_catalog.pg_has_role(current_user, 'pg_read_all_data', 'usage')"
    : "false";
  const [row] = await server.query(
    `select rolsuper as super, ${all} as reads, pg_catalog.quote_ident(current_user) as name
       from pg_catalog.pg_roles where rolname = current_user`,
  );
  return {
    name: String(row?.["name"]),
    isSuperuser: row?.["super"] === true,
    readsAll: row?.["reads"] === true,
  };
}

async function firstFault(
  server: PostgresServer,
  connection: ConnectionOptions,
): Promise<string | undefined> {
  for (const { name: database, sizeBytes } of await server.databases()) {
    if (sizeBytes === undefined) return `may not connect to database ${database}`;
    await using own = await openServer({ ...connection, database });
    const [row] = await own.query(UNREADABLE);
    if (!row) continue;
    const more = Number(row["total"]) - 1;
    const others = more === 0 ? "" : ` and ${more} more`;
    return `may not read ${String(row["name"])}${others} in database ${database}`;
  }
  return undefined;
}
