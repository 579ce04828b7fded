import type { BackupSlot, DumpSection, ManifestObject } from "../../catalog/catalog.ts";
import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError, PostgresError } from "../../domain/errors.ts";
import type { Program, RunningProgram } from "../../postgres/postgres.ts";
import type { BackupParts, FullBackupOptions } from "../parts.ts";
import { ArchiveCheck } from "./archive_check.ts";
import type { ArchivedTable } from "./archive_toc.ts";
import { gatherOutput } from "./gather_output.ts";
import { ContentsListing } from "./list_contents.ts";
import { dumpName } from "./object_names.ts";
import { storeEncoded } from "./store_encoded.ts";

/** backupctl compresses on all cores; pg_dump would on one. */
const DUMP_ARGUMENTS = ["--format=custom", "--compress=0"] as const;

/** A part of a database's dump, one of several that hold all of it together. */
export interface DumpPart {
  /** Relative to the slot's folder, without the codec's extension. */
  readonly name: string;
  readonly section: DumpSection;
  /** Of the data, from 1 on. */
  readonly number?: number;
  /** What pg_dump is told besides. */
  readonly args: readonly string[];
}

/** How a database is dumped. */
export interface DumpOptions {
  readonly database: string;
  readonly slot: BackupSlot;
  readonly options: FullBackupOptions;
  readonly pgDump: Program;
  readonly pgRestore: Program;
}

/**
 * Dumps one database into the store. The object is stored only when pg_dump ended well, the
 * archive is whole, and pg_restore can read its contents.
 *
 * @throws {PostgresError} with what pg_dump said last.
 * @throws {IntegrityError} when pg_dump claims success and the archive is not whole.
 */
export async function dumpDatabase(
  parts: BackupParts,
  options: DumpOptions,
): Promise<ManifestObject> {
  const { object } = await dump(parts, options, { name: dumpName(options.database), args: [] });
  return object;
}

/** A part of a dump that is stored, and the tables whose rows it holds. */
export interface DumpedPart {
  readonly object: ManifestObject;
  readonly tables: readonly ArchivedTable[];
}

/** Dumps a part of a database into the store, as {@link dumpDatabase} does the whole. */
export async function dumpPart(
  parts: BackupParts,
  { part, ...options }: DumpOptions & { readonly part: DumpPart },
): Promise<DumpedPart> {
  const { object, tables } = await dump(parts, options, part);
  const { section, number } = part;
  return { object: { ...object, section, ...(number !== undefined && { part: number }) }, tables };
}

async function dump(
  parts: BackupParts,
  { database, slot, options, pgDump, pgRestore }: DumpOptions,
  { name, args }: Pick<DumpPart, "name" | "args">,
): Promise<DumpedPart> {
  const signal = options.signal ? { signal: options.signal } : {};
  const running = parts.programs.run(pgDump, [...DUMP_ARGUMENTS, ...args], {
    connection: { ...parts.connection, database },
    stdin: "null",
    ...signal,
  });
  const listing = new ContentsListing(parts.programs, pgRestore, signal);
  const watch = new DumpWatch({ database, running, listing });
  try {
    const raw = gatherOutput(running.stdout).pipeThrough(watch.stream());
    const object = { name, role: "dump", database, raw } as const;
    const stored = await storeEncoded(parts, { slot, options, object });
    return { object: stored, tables: watch.tables };
  } catch (error) {
    // Asked before pg_dump is killed: that it died by our hand explains nothing.
    const { failure } = watch;
    await Promise.all([running.kill(), listing.kill()]);
    options.signal?.throwIfAborted();
    throw failure ?? error; // the store reports its broken source in words of its own
  }
}

/** Lets an archive pass and refuses its end unless everything about it was right. */
class DumpWatch {
  failure: unknown;
  /** Once it has passed. */
  tables: readonly ArchivedTable[] = [];
  readonly #check = new ArchiveCheck();
  readonly #database: string;
  readonly #running: RunningProgram;
  readonly #listing: ContentsListing;

  constructor({ database, running, listing }: {
    readonly database: string;
    readonly running: RunningProgram;
    readonly listing: ContentsListing;
  }) {
    this.#database = database;
    this.#running = running;
    this.#listing = listing;
  }

  stream(): TransformStream<Bytes, Bytes> {
    return new TransformStream({
      transform: async (bytes, controller) => {
        await this.#noting(() => this.#see(bytes));
        controller.enqueue(bytes);
      },
      flush: () => this.#noting(() => this.#judge()),
    });
  }

  async #see(bytes: Bytes): Promise<void> {
    this.#check.push(bytes);
    if (!this.#listing.isOpen) return;
    await this.#listing.push(bytes);
    if (this.#check.head && this.#check.hasContents) await this.#listing.close();
  }

  async #judge(): Promise<void> {
    await this.#running.finished();
    const { head, tables } = this.#check.finish();
    this.tables = tables;
    await this.#listing.finish(head?.entries);
    if (!head || head.database === this.#database) return;
    throw new IntegrityError(`it is a dump of database ${JSON.stringify(head.database)}`);
  }

  async #noting(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.failure = await this.#explain(error);
      throw this.failure;
    }
  }

  /** When pg_dump failed, that is why its archive is not whole. */
  async #explain(error: unknown): Promise<unknown> {
    const name = JSON.stringify(this.#database);
    if (error instanceof IntegrityError) {
      return new IntegrityError(
        `pg_dump of database ${name} left an incomplete archive: ${error.message}`,
        "the backup was not committed; is the disk full, or pg_dump not what it should be?",
        { cause: error },
      );
    }
    if (!(error instanceof PostgresError)) return await Promise.resolve(error);
    return new PostgresError(
      `cannot dump database ${name}: ${error.message}`,
      dumpHint(error.message) ?? error.hint,
      { cause: error },
    );
  }
}

/** Remedies for what pg_dump says most often. Its messages may be translated: then there is none. */
function dumpHint(message: string): string | undefined {
  if (/row-level security|row security/.test(message)) {
    return "the role may see only some rows; give it BYPASSRLS, or use the tables' owner";
  }
  if (/permission denied/.test(message)) {
    return "give the role pg_read_all_data (PostgreSQL 14 and later), or back up as a superuser";
  }
  return undefined;
}
