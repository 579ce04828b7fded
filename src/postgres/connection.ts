import { userInfo } from "node:os";
import { ConfigError } from "../domain/errors.ts";
import { checked, type Parameters, parseConninfo, severalHosts } from "./conninfo.ts";
import { findPassword } from "./password_file.ts";
import type { ConnectionOptions, SslMode } from "./postgres.ts";
import { isSocketFolder } from "./server_errors.ts";
import { readService } from "./service_file.ts";

/** Variables by name, as the process has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What was asked for; everything else is found by libpq's rules. */
export type ExplicitConnection = Partial<ConnectionOptions> & {
  /** A URL or `keyword=value` pairs. The fields beside it win. */
  readonly url?: string;
};

/** Where to look for what was not asked for. */
export interface Surroundings {
  /** The variables of the process. */
  readonly env: Environment;
  /** The home folder; undefined when there is none. */
  readonly home: string | undefined;
  /** Hears what libpq would print, such as a password file that others can read. */
  readonly warn?: (text: string) => void;
}

const SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/** Where distributions put the server's socket: Debian and Red Hat, then PostgreSQL's own default. */
const SOCKET_FOLDERS = ["/var/run/postgresql", "/run/postgresql", "/tmp"];
const DEFAULT_PORT = "5432";

/** The project's own variables. */
const OWN_VARIABLES: Parameters = {
  host: "PG_HOST",
  port: "PG_PORT",
  user: "PG_USER",
  password: "PG_PASSWORD",
  dbname: "PG_DATABASE",
};
/** PostgreSQL docs, "Environment Variables" of libpq. */
const LIBPQ_VARIABLES: Parameters = {
  host: "PGHOST",
  hostaddr: "PGHOSTADDR",
  port: "PGPORT",
  user: "PGUSER",
  password: "PGPASSWORD",
  dbname: "PGDATABASE",
  passfile: "PGPASSFILE",
  sslmode: "PGSSLMODE",
  sslrootcert: "PGSSLROOTCERT",
  sslcert: "PGSSLCERT",
  sslkey: "PGSSLKEY",
  connect_timeout: "PGCONNECT_TIMEOUT",
  application_name: "PGAPPNAME",
};

/**
 * Completes a connection as libpq would, first what was asked for: fields, then the URL and its
 * service, `PG_HOST` and its like, the service in `PGSERVICE`, `PGHOST` and its like, defaults.
 * Unlike libpq the database's default is `postgres`, and a Unix socket is the default only where
 * one is; otherwise localhost.
 *
 * @throws {ConfigError} when a value is none, or a service does not exist.
 */
export async function resolveConnection(
  explicit: ExplicitConnection,
  surroundings: Surroundings,
): Promise<ConnectionOptions> {
  const { env, home } = surroundings;
  const url = explicit.url ? parseConninfo(explicit.url) : {};
  const given: Parameters = {
    ...from(LIBPQ_VARIABLES, env),
    ...await service(env.PGSERVICE, surroundings),
    ...from(OWN_VARIABLES, env),
    ...await service(url.service, surroundings),
    ...url,
    ...fields(explicit),
  };
  const port = portNumber(given.port ?? DEFAULT_PORT);
  const host = given.host ?? given.hostaddr ?? await defaultHost(port);
  if (host.includes(",")) throw severalHosts();
  const user = given.user ?? systemUser(env);
  const database = given.dbname ?? "postgres";
  const password = given.password ??
    await storedPassword({ host, port, user, database }, given.passfile, surroundings);
  const timeout = seconds(given.connect_timeout);
  return {
    host,
    port,
    user,
    database,
    sslmode: sslMode(given.sslmode ?? "prefer"),
    ...(password !== undefined && { password }),
    ...await tlsFiles(given, home),
    ...(timeout !== undefined && { connectTimeout: timeout }),
    ...(given.application_name && { applicationName: given.application_name }),
  };
}

/** Fields of the port by libpq's keywords. */
function fields(explicit: ExplicitConnection): Parameters {
  const { database, connectTimeout, applicationName, url: _, port, ...same } = explicit;
  const all = {
    ...same,
    dbname: database,
    application_name: applicationName,
    port: port === undefined ? undefined : String(port),
    connect_timeout: connectTimeout === undefined ? undefined : String(connectTimeout),
  };
  const set = Object.entries(all).filter(([, value]) => value !== undefined && value !== "");
  return Object.fromEntries(set) as Parameters;
}

/** Variables that are set and not empty. */
function from(names: Parameters, env: Environment): Parameters {
  const found = Object.entries(names).map(([keyword, name]) => [keyword, env[name]] as const);
  return Object.fromEntries(found.filter(([, value]) => value)) as Parameters;
}

async function service(name: string | undefined, { env, home }: Surroundings): Promise<Parameters> {
  if (!name) return {};
  const files = [
    ...(env.PGSERVICEFILE ? [env.PGSERVICEFILE] : home ? [`${home}/.pg_service.conf`] : []),
    `${env.PGSYSCONFDIR ?? "/etc/postgresql-common"}/pg_service.conf`,
    "/etc/pg_service.conf",
  ];
  return checked(Object.entries(await readService(name, files)));
}

async function defaultHost(port: number): Promise<string> {
  for (const folder of SOCKET_FOLDERS) {
    const found = await Deno.lstat(`${folder}/.s.PGSQL.${port}`).catch(() => undefined);
    if (found) return folder;
  }
  return "localhost";
}

function systemUser(env: Environment): string {
  try {
    return userInfo().username;
  } catch {
    // A user id without an entry in /etc/passwd, as containers have it.
  }
  const name = env.USER ?? env.LOGNAME;
  if (name) return name;
  throw new ConfigError("the PostgreSQL role is not known", "set PG_USER");
}

async function storedPassword(
  { host, ...key }: { host: string; port: number; user: string; database: string },
  passfile: string | undefined,
  { home, warn = () => {} }: Surroundings,
): Promise<string | undefined> {
  const path = passfile ?? (home ? `${home}/.pgpass` : undefined);
  const info = path ? await Deno.stat(path).catch(() => undefined) : undefined;
  if (!path || !info) return undefined;
  if (!info.isFile) {
    warn(`password file ${path} is not a plain file and is not used`);
    return undefined;
  }
  if (((info.mode ?? 0) & 0o077) !== 0) {
    warn(`password file ${path} is open to others and is not used; set its mode to 0600`);
    return undefined;
  }
  const text = await Deno.readTextFile(path).catch(() => "");
  return findPassword(text, { host: isSocketFolder(host) ? "localhost" : host, ...key });
}

/** libpq's defaults lie in `~/.postgresql`, and count where they exist. */
async function tlsFiles(given: Parameters, home: string | undefined) {
  const rootcert = given.sslrootcert ?? await existing(home, "root.crt");
  const cert = given.sslcert ?? await existing(home, "postgresql.crt");
  const key = given.sslkey ?? (cert && await existing(home, "postgresql.key"));
  return {
    ...(rootcert && { sslrootcert: rootcert }),
    ...(cert && { sslcert: cert }),
    ...(key && { sslkey: key }),
  };
}

async function existing(home: string | undefined, name: string): Promise<string | undefined> {
  if (!home) return undefined;
  const path = `${home}/.postgresql/${name}`;
  return await Deno.stat(path).then(() => path, () => undefined);
}

function portNumber(text: string): number {
  const port = /^\d{1,5}$/.test(text.trim()) ? Number(text) : 0;
  if (port >= 1 && port <= 65535) return port;
  throw new ConfigError(`the PostgreSQL port ${JSON.stringify(text)} is not one`, "use 1 to 65535");
}

function sslMode(text: string): SslMode {
  if (SSL_MODES.includes(text)) return text as SslMode;
  throw new ConfigError(
    `the sslmode ${JSON.stringify(text)} does not exist`,
    `use ${SSL_MODES.join(", ")}`,
  );
}

/** libpq waits without end when it is 0 or less; backupctl takes its default then. */
function seconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isFinite(value)) {
    throw new ConfigError(`the connect timeout ${JSON.stringify(text)} is no number of seconds`);
  }
  return value > 0 ? value : undefined;
}
