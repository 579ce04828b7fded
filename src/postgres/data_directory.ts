/**
 * What can be told of a data directory without its server.
 *
 * @module
 */
import { PostgresError } from "../domain/errors.ts";
import { isAlive } from "./is_alive.ts";

/**
 * The major version in PG_VERSION.
 *
 * @throws {PostgresError} when the folder is no data directory.
 */
export async function dataDirectoryMajor(folder: string): Promise<number> {
  const text = await readText(`${folder}/PG_VERSION`);
  const match = /^(\d+)(?:\.\d+)?\s*$/.exec(text ?? "");
  if (match) return Number(match[1]);
  throw new PostgresError(
    `${folder} is no PostgreSQL data directory`,
    text === undefined ? "it has no PG_VERSION" : "its PG_VERSION has no version",
  );
}

/**
 * The process id of the server that runs on `folder`, by its postmaster.pid; undefined when none
 * does. A process of that id that is not PostgreSQL counts too: better to refuse once too often.
 */
export async function runningServer(folder: string): Promise<number | undefined> {
  const text = await readText(`${folder}/postmaster.pid`);
  const pid = Math.abs(Number.parseInt(text ?? "", 10)); // a single-user server writes it negative
  return pid > 0 && await isAlive(pid) ? pid : undefined;
}

/**
 * The system identifier, the first eight bytes of `global/pg_control` in the machine's byte order.
 *
 * @throws {PostgresError} when there is no such file.
 */
export async function systemIdentifierOf(folder: string): Promise<string> {
  const path = `${folder}/global/pg_control`;
  try {
    const bytes = await Deno.readFile(path);
    return new BigUint64Array(bytes.slice(0, 8).buffer)[0]!.toString();
  } catch (cause) {
    throw new PostgresError(`cannot read ${path}`, "is this a complete data directory?", { cause });
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new PostgresError(`cannot read ${path}`, "may this user read it?", { cause: error });
  }
}
