import type { ConnectionOptions } from "../../postgres/postgres.ts";

/**
 * The argument of `--dbname` for a database of any name. Client programs take a name with `=` in
 * it, or one that looks like a URI, for a whole connection string, so it must be one. PostgreSQL
 * docs, libpq, "Keyword/Value Connection Strings".
 */
export function databaseArgument(database: string): string {
  return `--dbname=dbname='${database.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

/** `host:port`, or the Unix socket's folder and the port; for messages. */
export function serverAddress({ host, port }: Pick<ConnectionOptions, "host" | "port">): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
