import type { BackupManifest } from "../../catalog/catalog.ts";
import type { Bytes } from "../../domain/bytes.ts";
import { PostgresError } from "../../domain/errors.ts";
import type { ConnectionOptions, Program, RunningProgram } from "../../postgres/postgres.ts";
import { ProgramError } from "../../postgres/postgres.ts";
import type { RestoreParts } from "../parts.ts";
import { ArchiveCheck } from "./archive_check.ts";
import type { ArchiveHead } from "./archive_toc.ts";
import { databaseArgument } from "./connection_string.ts";
import { type DumpSource, withRawObject } from "./open_dump.ts";
import { spoolDump, type SpooledDump } from "./spool_dump.ts";

/** How one database is restored. */
export interface DatabaseTarget {
  /** The server, with the database to connect to at first. */
  readonly connection: ConnectionOptions;
  readonly database: string;
  /** Create it, with its owner, encoding, locale and settings; otherwise it is there and empty. */
  readonly create: boolean;
  /** Leave everything in the default tablespace. */
  readonly withoutTablespaces: boolean;
  readonly jobs: number;
  /** Bring the dump into a temporary file first: needed for several jobs. */
  readonly spool: boolean;
}

/** What pg_restore could not do; it goes on after errors. */
export interface DatabaseReport {
  readonly errors: readonly string[];
  /** Whether it gave up before the end. */
  readonly failed: boolean;
}

/**
 * Restores one dump into a live server by pg_restore.
 *
 * @throws {IntegrityError} when the object is damaged: before pg_restore has seen any of it when it
 * is spooled, otherwise with the database left half filled.
 */
export async function restoreDatabase(
  parts: RestoreParts,
  source: DumpSource,
  target: DatabaseTarget,
): Promise<DatabaseReport> {
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
  { backup, signal }: DumpSource,
  { spooled, target }: { readonly spooled: SpooledDump; readonly target: DatabaseTarget },
): Promise<DatabaseReport> {
  const pgRestore = await findPgRestore(programs, backup, spooled.head);
  const running = programs.run(
    pgRestore,
    [...restoreArguments(target), `--jobs=${target.jobs}`, spooled.path],
    { connection: target.connection, stdin: "null", ...(signal && { signal }) },
  );
  await running.stdout.cancel();
  return await verdict(running);
}

async function restoreStream(
  { programs }: RestoreParts,
  { backup, signal }: DumpSource,
  { raw, target }: { readonly raw: ReadableStream<Bytes>; readonly target: DatabaseTarget },
): Promise<DatabaseReport> {
  const chunks = raw[Symbol.asyncIterator]();
  const { first, head } = await readHead(chunks);
  const pgRestore = await findPgRestore(programs, backup, head);
  const running = programs.run(pgRestore, restoreArguments(target), {
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
  return await verdict(running);
}

/** Reads until the archive's head is known. */
async function readHead(
  chunks: AsyncIterator<Bytes>,
): Promise<{ readonly first: readonly Bytes[]; readonly head: ArchiveHead | undefined }> {
  const check = new ArchiveCheck();
  const first: Bytes[] = [];
  while (!check.head && !check.hasContents) {
    const { done, value } = await chunks.next();
    if (done) break;
    check.push(value);
    first.push(value);
  }
  return { first, head: check.head };
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
  { connection, database, create, withoutTablespaces }: DatabaseTarget,
): string[] {
  return [
    databaseArgument(create ? connection.database : database),
    ...(create ? ["--create"] : []),
    ...(withoutTablespaces ? ["--no-tablespaces"] : []),
  ];
}

async function verdict(running: RunningProgram): Promise<DatabaseReport> {
  try {
    await running.finished();
    return { errors: [], failed: false };
  } catch (error) {
    if (!(error instanceof PostgresError)) throw error;
    const said = error instanceof ProgramError ? error.stderr : error.message;
    const lines = said.split("\n").filter((line) => /^pg_restore: [^:]+: ./.test(line));
    const count = /errors ignored on restore: (\d+)/.exec(said);
    const errors = lines.filter((line) => !/errors ignored on restore|while |from TOC /.test(line));
    return { errors: errors.length > 0 ? errors : [error.message], failed: count === null };
  }
}
