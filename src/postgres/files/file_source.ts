import type { Bytes } from "../../domain/bytes.ts";
import { PostgresError } from "../../domain/errors.ts";
import { type Lsn, parseLsn } from "../../domain/lsn.ts";
import {
  lastSegmentNumber,
  segmentName,
  segmentNumber,
  timelineHistoryName,
} from "../../domain/wal.ts";
import type { ConnectionOptions, ServerIdentity, Tablespace } from "../postgres.ts";
import { SqlServer } from "../sql_server.ts";
import { SqlSession } from "../sql_session.ts";
import { backupFunctions } from "./backup_functions.ts";
import { parseBackupLabel } from "./backup_label.ts";
import { readControlFile } from "./control_file.ts";
import type {
  FileBackup,
  FileBackupEnd,
  FileBackupOptions,
  FileBackupSource,
  PageLayout,
} from "./file_backup.ts";
import { whyNotItsDirectory } from "./prove_data_directory.ts";

/** Backups of the server's files between pg_backup_start and pg_backup_stop. */
export class FileSource implements FileBackupSource {
  readonly #connection: ConnectionOptions;
  readonly #dataDirectory: string | undefined;

  /**
   * Contacts nobody yet.
   *
   * @param dataDirectory where it lies for this process; the server's own answer when absent.
   */
  constructor(
    connection: ConnectionOptions,
    { dataDirectory }: { readonly dataDirectory?: string } = {},
  ) {
    this.#connection = connection;
    this.#dataDirectory = dataDirectory;
  }

  async obstacle(): Promise<string | undefined> {
    await using server = new SqlServer(this.#connection);
    const identity = await server.identity();
    await using session = await SqlSession.open(this.#connection);
    return await this.#obstacle(session, identity);
  }

  async start(options: FileBackupOptions): Promise<FileBackup> {
    await using server = new SqlServer(this.#connection);
    const identity = await server.identity();
    const session = await SqlSession.open(this.#connection, options);
    // Nothing else ends a wait for the checkpoint.
    const giveUp = () => void session.close();
    options.signal?.addEventListener("abort", giveUp);
    try {
      const obstacle = await this.#obstacle(session, identity);
      if (obstacle) throw new PostgresError(obstacle, "take the backup with --source stream");
      return await this.#begin(session, { identity, options });
    } catch (error) {
      await session.close();
      options.signal?.throwIfAborted();
      throw error;
    } finally {
      options.signal?.removeEventListener("abort", giveUp);
    }
  }

  async #obstacle(session: SqlSession, identity: ServerIdentity): Promise<string | undefined> {
    if (identity.inRecovery) return "the server is a standby, whose WAL others end";
    const { signatures } = backupFunctions(majorOf(identity));
    const [row] = await session.query(
      `select bool_and(pg_catalog.has_function_privilege('pg_catalog.' || f, 'EXECUTE'))::text
         as may from unnest($1::text[]) f`,
      [`{${signatures.map((text) => `"${text}"`).join(",")}}`],
    );
    if (row?.may !== "true") {
      return `role ${this.#connection.user} may not execute ${signatures.join(" and ")}`;
    }
    const dataDirectory = this.#dataDirectory ?? identity.dataDirectory;
    if (dataDirectory === undefined) return "the role may not ask where the data directory is";
    return await whyNotItsDirectory(session, { ...identity, dataDirectory });
  }

  async #begin(
    session: SqlSession,
    { identity, options }: {
      readonly identity: ServerIdentity;
      readonly options: FileBackupOptions;
    },
  ): Promise<FileBackup> {
    const dataDirectory = (this.#dataDirectory ?? identity.dataDirectory)!.replace(/\/+$/, "");
    const pages = await pageLayout(session, identity);
    await reserveWal(session);
    const { start } = backupFunctions(majorOf(identity));
    const [row] = await session.query(start, [options.label, options.fastCheckpoint]);
    const control = await readControlFile(dataDirectory);
    return new StartedFileBackup(session, {
      ...{ identity, dataDirectory, pages },
      startLsn: parseLsn(String(row?.lsn)),
      tablespaces: await listTablespaces(dataDirectory),
      versionFolder: `PG_${majorOf(identity)}_${control.catalogVersion}`,
    });
  }
}

interface Begun {
  readonly identity: ServerIdentity;
  readonly dataDirectory: string;
  readonly versionFolder: string;
  readonly startLsn: Lsn;
  readonly tablespaces: readonly Tablespace[];
  readonly pages: PageLayout;
}

class StartedFileBackup implements FileBackup {
  readonly dataDirectory: string;
  readonly versionFolder: string;
  readonly startLsn: Lsn;
  readonly tablespaces: readonly Tablespace[];
  readonly pages: PageLayout;
  readonly #session: SqlSession;
  readonly #identity: ServerIdentity;

  constructor(session: SqlSession, begun: Begun) {
    this.#session = session;
    this.#identity = begun.identity;
    this.dataDirectory = begun.dataDirectory;
    this.versionFolder = begun.versionFolder;
    this.startLsn = begun.startLsn;
    this.tablespaces = begun.tablespaces;
    this.pages = begun.pages;
  }

  get lost(): AbortSignal {
    return this.#session.lost;
  }

  async controlFile(): Promise<Bytes> {
    return (await readControlFile(this.dataDirectory)).bytes;
  }

  async stop(): Promise<FileBackupEnd & { readonly timeline: number }> {
    const { stop } = backupFunctions(majorOf(this.#identity));
    const [row = {}] = await this.#session.query(stop);
    const text = String(row.labelfile);
    const { startLsn, timeline } = parseBackupLabel(text);
    if (startLsn !== this.startLsn) {
      throw new PostgresError("the server ended another backup than this one");
    }
    this.#checkTablespaces(String(row.spcmapfile ?? ""));
    const stopLsn = parseLsn(String(row.lsn));
    const walFiles = await this.#walFiles({ timeline, stopLsn });
    return { stopLsn, timeline, label: new TextEncoder().encode(text), walFiles };
  }

  /** Its lines are `<oid> <location>`; newlines in a location have a backslash in front. */
  #checkTablespaces(map: string): void {
    const listed = [...map.matchAll(/^(\d+) /gm)].map(([, oid]) => Number(oid));
    const missing = listed.find((oid) => !this.tablespaces.some((known) => known.oid === oid));
    if (missing === undefined) return;
    throw new PostgresError(
      `tablespace ${missing} is in the server's tablespace_map and was not in pg_tblspc`,
      "take the backup again",
    );
  }

  async #walFiles(
    { timeline, stopLsn }: { readonly timeline: number; readonly stopLsn: Lsn },
  ): Promise<readonly string[]> {
    const { walSegmentBytes } = this.#identity;
    const first = segmentNumber(this.startLsn, walSegmentBytes);
    const last = lastSegmentNumber(stopLsn, walSegmentBytes);
    const names = Array.from(
      { length: last - first + 1 },
      (_, index) => segmentName(timeline, first + index, walSegmentBytes),
    );
    const history = timelineHistoryName(timeline);
    const path = `${this.dataDirectory}/pg_wal/${history}`;
    const hasHistory = await Deno.stat(path).then(() => true, () => false);
    return hasHistory ? [history, ...names] : names;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.close();
  }
}

/** Without a free slot, or the right to make one, a missing segment is found when it is read. */
async function reserveWal(session: SqlSession): Promise<void> {
  const name = `backupctl_${crypto.randomUUID().replaceAll("-", "")}`;
  const make = "select pg_catalog.pg_create_physical_replication_slot($1, true, true)";
  try {
    await session.query(make, [name]);
  } catch (error) {
    session.lost.throwIfAborted();
    if (!(error instanceof PostgresError)) throw error;
  }
}

async function pageLayout(session: SqlSession, identity: ServerIdentity): Promise<PageLayout> {
  const [row = {}] = await session.query(
    `select (select setting from pg_catalog.pg_settings where name = 'block_size') as page,
            (select setting from pg_catalog.pg_settings where name = 'segment_size') as segment`,
  );
  return {
    pageBytes: Number(row.page),
    segmentPages: Number(row.segment),
    checksums: identity.dataChecksums,
  };
}

async function listTablespaces(dataDirectory: string): Promise<readonly Tablespace[]> {
  const found: Tablespace[] = [];
  for await (const { name, isSymlink } of Deno.readDir(`${dataDirectory}/pg_tblspc`)) {
    if (!/^[1-9]\d*$/.test(name)) continue;
    if (!isSymlink) {
      throw new PostgresError(
        `tablespace ${name} lies inside the data directory (allow_in_place_tablespaces)`,
        "tablespaces made for PostgreSQL's own tests cannot be backed up",
      );
    }
    const location = await Deno.readLink(`${dataDirectory}/pg_tblspc/${name}`);
    found.push({ oid: Number(name), location });
  }
  return found.sort((a, b) => a.oid - b.oid);
}

/** 17 of 170006. */
function majorOf({ version }: ServerIdentity): number {
  return Math.trunc(version / 10_000);
}
