import type { BackupManifest } from "../../catalog/catalog.ts";
import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError } from "../../domain/errors.ts";
import type { ConnectionOptions, Program, RunningProgram } from "../../postgres/postgres.ts";
import { ProgramError } from "../../postgres/postgres.ts";
import type { RestoreParts } from "../parts.ts";
import { ArchiveCheck } from "./archive_check.ts";
import type { ArchiveHead } from "./archive_toc.ts";
import { databaseArgument } from "./connection_string.ts";
import type { DumpObject } from "./database_dumps.ts";
import { type DumpSource, withRawObject } from "./open_dump.ts";
import { type NewDatabase, prepareDatabase } from "./prepare_database.ts";
import { readComplaints, type RestoreComplaints } from "./restore_complaints.ts";
import { choosesAny, tableArguments, type TableChoice } from "./table_choice.ts";
import { spoolDump, type SpooledDump } from "./spool_dump.ts";

/** How one database is restored. */
export interface DatabaseTarget extends NewDatabase {
  /** To the server, with the database to connect to at first. */
  readonly connection: ConnectionOptions;
  readonly jobs: number;
  /** Only these tables, of the parts that have any of them. */
  readonly tables?: TableChoice;
  /** Bring the dump into a temporary file first: needed for several jobs. */
  readonly spool: boolean;
}

/** The object is a dump. */
interface DatabaseObject {
  readonly object: DumpObject;
}

/**
 * Restores one dump into a live server by pg_restore.
 *
 * @throws {IntegrityError} when the object is damaged: before pg_restore has seen any of it when it
 * is spooled, otherwise with the database left half filled.
 */
export async function restoreDatabase(
  parts: RestoreParts,
  source: DumpSource & DatabaseObject,
  target: DatabaseTarget,
): Promise<RestoreComplaints> {
  if (!target.spool) {
    return await withRawObject(
      parts,
      source,
      (raw) => restoreStream(parts, source, { raw, target }),
    );
  }
  await using spooled = await withRawObject(parts, source, spoolDump);
  return await restoreFile(parts, source, { spooled, target });
}

async function restoreFile(
  { programs }: RestoreParts,
  { backup, object, signal }: DumpSource & DatabaseObject,
  { spooled, target }: { readonly spooled: SpooledDump; readonly target: DatabaseTarget },
): Promise<RestoreComplaints> {
  const { head } = spooled.facts;
  const { database } = object;
  refuseOther(database, head);
  const pgRestore = await findPgRestore(programs, backup, head);
  const refused = await prepareDatabase(target, spooled.facts);
  const running = programs.run(
    pgRestore,
    [...restoreArguments(target, object), `--jobs=${target.jobs}`, spooled.path],
    { connection: target.connection, stdin: "null", ...(signal && { signal }) },
  );
  await running.stdout.cancel();
  return await verdict(running, refused);
}

async function restoreStream(
  { programs }: RestoreParts,
  { backup, object, signal }: DumpSource & DatabaseObject,
  { raw, target }: { readonly raw: ReadableStream<Bytes>; readonly target: DatabaseTarget },
): Promise<RestoreComplaints> {
  const chunks = raw[Symbol.asyncIterator]();
  const { first, check } = await readContents(chunks);
  refuseOther(object.database, check.head);
  if (isUnwanted(object, { check, tables: target.tables })) {
    await chunks.return?.(); // the rest of it need not be fetched
    return { errors: [], gaveUp: false };
  }
  const pgRestore = await findPgRestore(programs, backup, check.head);
  const refused = await prepareDatabase(target, check);
  const running = programs.run(pgRestore, restoreArguments(target, object), {
    connection: target.connection,
    stdin: "piped",
    ...(signal && { signal }),
  });
  const unread = running.stdout.cancel();
  try {
    await feed(running, { first, chunks });
  } catch (error) {
    await running.kill();
    throw error;
  }
  await unread;
  return await verdict(running, refused);
}

/** A part with the rows of other tables alone. */
function isUnwanted(
  { section }: DumpObject,
  { check, tables }: { readonly check: ArchiveCheck; readonly tables: TableChoice | undefined },
): boolean {
  if (!tables || section !== "data" || !check.head) return false;
  return !choosesAny(tables, check.tables);
}

/** Reads until the archive's contents are known. */
async function readContents(
  chunks: AsyncIterator<Bytes>,
): Promise<{ readonly first: readonly Bytes[]; readonly check: ArchiveCheck }> {
  const check = new ArchiveCheck();
  const first: Bytes[] = [];
  while (!check.hasContents) {
    const { done, value } = await chunks.next();
    if (done) break;
    check.push(value);
    first.push(value);
  }
  return { first, check };
}

/** Reads to the verified end even when pg_restore has stopped reading. */
async function feed(
  { stdin }: RunningProgram,
  { first, chunks }: { readonly first: readonly Bytes[]; readonly chunks: AsyncIterator<Bytes> },
): Promise<void> {
  const writer = stdin.getWriter();
  let isOpen = true;
  const write = async (bytes: Bytes) => {
    if (isOpen) await writer.write(bytes).catch(() => isOpen = false); // its status tells why
  };
  try {
    for (const bytes of first) await write(bytes);
    for (;;) {
      const { done, value } = await chunks.next();
      if (done) break;
      await write(value);
    }
    await writer.close().catch(() => {});
  } catch (error) {
    await writer.abort(error).catch(() => {});
    throw error;
  }
}

/** pg_restore creates and fills the database that the dump names, whatever the manifest says. */
function refuseOther(database: string, head: ArchiveHead | undefined): void {
  if (!head || head.database === database) return;
  const [found, wanted] = [head.database, database].map((name) => JSON.stringify(name));
  throw new IntegrityError(`it is a dump of database ${found} and not of ${wanted}`);
}

/** Of the dump's own major at least: an older pg_restore does not read its format. */
async function findPgRestore(
  programs: RestoreParts["programs"],
  backup: BackupManifest,
  head: ArchiveHead | undefined,
): Promise<Program> {
  const server = Math.floor(backup.postgresVersion / 10_000);
  const dump = Number.parseInt(head?.dumpVersion ?? "0");
  return await programs.find("pg_restore", Math.max(server, dump || 0));
}

function restoreArguments(
  { connection, create, withoutTablespaces, tables }: DatabaseTarget,
  { database, section }: DatabaseObject["object"],
): string[] {
  return [
    databaseArgument(create ? connection.database : database),
    ...(create ? ["--create"] : []),
    ...(withoutTablespaces ? ["--no-tablespaces"] : []),
    // It has what comes before the data as well, see dump_in_parts.ts.
    ...(section === "post-data" ? ["--section=post-data"] : []),
    ...(tables ? tableArguments(tables) : []),
    // A table that the backup does not have must not pass for one without rows.
    ...(tables && section !== "data" ? ["--strict-names"] : []),
  ];
}

/** @param refused when the database was created for pg_restore: what the server refused. */
async function verdict(
  running: RunningProgram,
  refused: readonly string[] | undefined,
): Promise<RestoreComplaints> {
  const own = refused ?? [];
  try {
    await running.finished();
    return { errors: own, gaveUp: false };
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error;
    const isPrepared = refused !== undefined;
    const { errors, gaveUp } = readComplaints(error.stderr, { isPrepared });
    if (gaveUp && errors.length === 0) return { errors: [...own, error.message], gaveUp };
    return { errors: [...own, ...errors], gaveUp };
  }
}
