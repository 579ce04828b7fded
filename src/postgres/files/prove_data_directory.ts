import type { SqlSession } from "../sql_session.ts";
import { readControlFile } from "./control_file.ts";

/**
 * Whether `dataDirectory` is that of the server at the other end of `session`, not a copy of it
 * and not a namesake in another container. The server is made to write a file there: an exported
 * snapshot lies in `pg_snapshots` as long as its transaction lasts.
 *
 * @returns why not; undefined when it is.
 * @throws {PostgresError}
 */
export async function whyNotItsDirectory(
  session: SqlSession,
  { dataDirectory, systemIdentifier }: {
    readonly dataDirectory: string;
    readonly systemIdentifier: string;
  },
): Promise<string | undefined> {
  const unreadable = await whyNotReadable(dataDirectory);
  if (unreadable) return unreadable;
  const control = await readControlFile(dataDirectory);
  if (control.systemIdentifier !== systemIdentifier) {
    return `${dataDirectory} is of system ${control.systemIdentifier}, ` +
      `the server is ${systemIdentifier}`;
  }
  const [row] = await session.query("begin; select pg_catalog.pg_export_snapshot() as name");
  const mark = `${dataDirectory}/pg_snapshots/${row?.name}`;
  const before = await exists(mark);
  await session.query("rollback");
  if (before && !await exists(mark)) return undefined;
  return `${dataDirectory} on this machine is not the folder that the server works in`;
}

/** Its owner alone may list a data directory, so one folder deep inside tells enough. */
async function whyNotReadable(dataDirectory: string): Promise<string | undefined> {
  try {
    for await (const _ of Deno.readDir(`${dataDirectory}/global`)) break;
    const file = await Deno.open(`${dataDirectory}/global/pg_control`);
    file.close();
    return undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return `${dataDirectory} is not on this machine`;
    const reason = error instanceof Error ? error.message : String(error);
    return `this user cannot read ${dataDirectory}: ${reason}`;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
