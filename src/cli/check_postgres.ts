import type { Config } from "../config/config.ts";
import { BackupctlError } from "../domain/errors.ts";
import type {
  ConnectionOptions,
  PostgresServer,
  ProgramName,
  ServerIdentity,
} from "../postgres/postgres.ts";
import { attempt, type Check, failed, ok, warning } from "./checks.ts";
import type { Context } from "./context.ts";
import { openBaseBackups, openPrograms, openServer, resolveServer } from "./open_parts.ts";

/** The server, the role's rights, and the programs that must fit the server. */
export async function* checkPostgres(config: Config, context: Context): AsyncGenerator<Check> {
  let connection: ConnectionOptions;
  let identity: ServerIdentity;
  try {
    connection = await resolveServer(config, context);
  } catch (error) {
    yield failed("connection", error);
    return;
  }
  await using server = await openServer(connection);
  try {
    identity = await server.identity();
    const role = identity.inRecovery ? "a standby" : "a primary";
    const version = identity.versionText.replace(/ .*$/, "");
    const who = `as ${connection.user}, ${role}`;
    yield ok("connection", `PostgreSQL ${version} at ${server.address} ${who}`);
  } catch (error) {
    yield failed("connection", error);
    return;
  }
  yield await attempt("dump rights", () => dumpRights(server, identity));
  yield await replication(config, { connection, context });
  yield await attempt("client programs", () => clientPrograms(config, { context, identity }));
}

/** pg_dump reads every table; pg_read_all_data has that right since PostgreSQL 14. */
async function dumpRights(server: PostgresServer, { version }: ServerIdentity): Promise<Check> {
  const all = version >= 140_000
    ? "pg_catalog.pg_has_role(current_user, 'pg_read_all_data', 'usage')"
    : "false";
  const [row] = await server.query(
    `select rolsuper as super, ${all} as reads, current_user::text as name
       from pg_catalog.pg_roles where rolname = current_user`,
  );
  const name = String(row?.["name"]);
  if (row?.["super"] === true) return ok("dump rights", `${name} is a superuser`);
  if (row?.["reads"] === true) {
    return warning(
      "dump rights",
      `${name} may read every table, but not the roles' passwords`,
      "roles are backed up without passwords; only a superuser may read them",
    );
  }
  return warning(
    "dump rights",
    `${name} may dump only what it owns or was granted`,
    version >= 140_000
      ? `to dump everything: GRANT pg_read_all_data TO ${name}`
      : "to dump everything the role must be a superuser",
  );
}

/** Physical backups only: a failure is one when they are what the configuration asks for. */
async function replication(
  config: Config,
  { connection, context }: { readonly connection: ConnectionOptions; readonly context: Context },
): Promise<Check> {
  try {
    const source = await openBaseBackups(connection);
    await source.identify({ signal: context.signal });
    return ok("replication", "base backups are possible (--method physical)");
  } catch (error) {
    if (!(error instanceof BackupctlError)) throw error;
    if (config.backup.method === "physical") return failed("replication", error);
    const hint = error.hint ?? "logical backups do not need it";
    return warning("replication", `no physical backups: ${error.message}`, hint);
  }
}

const PROGRAMS: readonly ProgramName[] = ["pg_dump", "pg_dumpall", "pg_restore", "psql"];

async function clientPrograms(
  config: Config,
  { context, identity }: { readonly context: Context; readonly identity: ServerIdentity },
): Promise<Check> {
  const programs = await openPrograms(config, context);
  const major = Math.floor(identity.version / 10_000);
  const found = [];
  for (const name of PROGRAMS) found.push(await programs.find(name, major));
  const folder = found[0]!.path.replace(/\/[^/]+$/, "");
  const names = found.map((program) => `${program.name} ${program.major}`);
  return ok("client programs", `${names.join(", ")} in ${folder}`);
}
