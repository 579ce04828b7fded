import type { ArchiveFacts } from "./archive_check.ts";
import type { TargetServer } from "./target_server.ts";

/** What pg_dump 15 and later write of every database, and no server before 15 understands. */
const PROVIDER = " LOCALE_PROVIDER = libc";
const UNDERSTOOD_SINCE = 15;
/** A tablespace in CREATE DATABASE, which pg_restore's --no-tablespaces leaves where it is. */
const TABLESPACE = / TABLESPACE = ("(?:[^"]|"")*"|[^\s";]+)/;

/** The database that a dump is restored into. */
export interface NewDatabase {
  readonly server: TargetServer;
  /** Major version of the server. */
  readonly major: number;
  /** Create it, with its owner, encoding, locale and settings; otherwise it is there and empty. */
  readonly create: boolean;
  /** Leave everything in the default tablespace. */
  readonly withoutTablespaces: boolean;
}

/**
 * Creates the database when pg_restore could not: its statement names a tablespace that is absent,
 * or comes from a newer pg_dump than the server understands. pg_restore's own attempt fails then,
 * and it goes on with the database that is there.
 *
 * @returns what the server refused; undefined when pg_restore may do it.
 */
export async function prepareDatabase(
  { server, major, create, withoutTablespaces }: NewDatabase,
  { createDatabase }: Pick<ArchiveFacts, "createDatabase">,
): Promise<readonly string[] | undefined> {
  if (!create || createDatabase === undefined) return undefined;
  let statement = createDatabase;
  if (major < UNDERSTOOD_SINCE) statement = statement.replace(PROVIDER, "");
  if (withoutTablespaces) statement = statement.replace(TABLESPACE, "");
  return statement === createDatabase ? undefined : await server.runForeign(statement);
}
