import type { Config } from "../config/config.ts";
import { BackupctlError } from "../domain/errors.ts";
import type {
  ConnectionOptions,
  PostgresServer,
  ProgramName,
  ServerIdentity,
} from "../postgres/postgres.ts";
import { checkDumpRights, noBackupPossible } from "./check_rights.ts";
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
  yield* rights(config, { server, connection, identity, context });
  yield await attempt("client programs", () => clientPrograms(config, { context, identity }));
}

/** What the role can take. One that can take neither kind of backup is a failure. */
async function* rights(
  config: Config,
  { server, connection, identity, context }: {
    readonly server: PostgresServer;
    readonly connection: ConnectionOptions;
    readonly identity: ServerIdentity;
    readonly context: Context;
  },
): AsyncGenerator<Check> {
  const physical = await replication(config, { connection, context });
  yield await attempt("dump rights", async () => {
    const dump = await checkDumpRights(server, { connection, identity });
    const { method } = config.backup;
    const needed = method === "logical" || (method === "auto" && physical.state !== "ok");
    return needed && !dump.possible ? noBackupPossible(dump) : dump.check;
  });
  yield physical;
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
