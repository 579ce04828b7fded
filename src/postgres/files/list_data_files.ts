import { PostgresError } from "../../domain/errors.ts";
import { isDatabaseFolder, isKeptEmpty, isLeftOut, relationName } from "./data_file_rules.ts";

/** A file that belongs into a backup. */
export interface DataFile {
  /** Below the data directory, tablespaces as `pg_tblspc/<oid>/…`. */
  readonly path: string;
  /** When it was listed; it may be another one when it is read. */
  readonly size: number;
  /** Milliseconds since 1970, when it was listed. */
  readonly modifiedAt: number;
}

/** What a data directory has for a backup. */
export interface DataFileList {
  /** Without WAL and without `global/pg_control`, which is read last. */
  readonly files: readonly DataFile[];
  /** All folders below the data directory, parents first. */
  readonly folders: readonly string[];
  /** Symbolic links and special files that are left out as PostgreSQL leaves them out. */
  readonly skipped: readonly string[];
}

/** Where to look. */
export interface DataDirectoryOptions {
  /** Absolute. */
  readonly dataDirectory: string;
  /** The numbers of the tablespaces, and the one folder in each that belongs to this server. */
  readonly tablespaces: readonly number[];
  /** `PG_15_202209061`. */
  readonly versionFolder: string;
}

/**
 * Lists the files of a backup. What vanishes meanwhile is left out.
 *
 * @throws {PostgresError} when a folder cannot be read, or a name is no UTF-8.
 */
export function listDataFiles(options: DataDirectoryOptions): DataFileList {
  const list = new Lister(options.dataDirectory);
  list.folder("");
  for (const oid of options.tablespaces) {
    list.addFolder(`pg_tblspc/${oid}/${options.versionFolder}`);
  }
  return list;
}

class Lister implements DataFileList {
  readonly files: DataFile[] = [];
  readonly folders: string[] = [];
  readonly skipped: string[] = [];
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  addFolder(path: string): void {
    this.folders.push(path);
    this.folder(path);
  }

  folder(path: string): void {
    const entries = this.#read(path);
    const unlogged = isDatabaseFolder(path) ? unloggedRelations(entries) : undefined;
    const prefix = path === "" ? "" : `${path}/`;
    for (const entry of entries) {
      if (isLeftOut(path, entry.name)) continue;
      if (unlogged?.size && isUnlogged(entry.name, unlogged)) continue;
      this.#entry(`${prefix}${entry.name}`, entry);
    }
  }

  #entry(path: string, entry: Deno.DirEntry): void {
    if (entry.isFile) return this.#file(path);
    if (path === "pg_wal") return void this.folders.push(path, "pg_wal/archive_status");
    if (path === "pg_tblspc") return void this.folders.push(path);
    if (isKeptEmpty(path)) return void this.folders.push(path);
    if (entry.isDirectory) return this.addFolder(path);
    this.#file(path);
  }

  #file(path: string): void {
    if (path === "global/pg_control") return;
    const info = this.#look(path);
    if (!info) return;
    if (info.isFile) {
      this.files.push({ path, size: info.size, modifiedAt: info.mtime?.getTime() ?? 0 });
    }
    if (info.isFile || info.isSocket) return; // sockets are expected
    this.skipped.push(path); // PostgreSQL itself leaves links out with a warning
  }

  #read(path: string): Deno.DirEntry[] {
    try {
      return [...Deno.readDirSync(`${this.#root}/${path}`)];
    } catch (error) {
      if (error instanceof Deno.errors.NotFound && path !== "") return [];
      throw cannotRead(`${this.#root}/${path}`, error);
    }
  }

  #look(path: string): Deno.FileInfo | undefined {
    try {
      return Deno.lstatSync(`${this.#root}/${path}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw cannotRead(path, error);
      // Deno shows bytes that are no UTF-8 as U+FFFD; no file can be opened by such a name.
      if (!path.includes("\ufffd")) return undefined;
      throw new PostgresError(
        `the data directory has a file whose name is not UTF-8: ${JSON.stringify(path)}`,
        "rename or remove that file: PostgreSQL does not need it",
      );
    }
  }
}

/** Those with an `_init` fork: after a crash or a restore they begin empty. */
function unloggedRelations(entries: readonly Deno.DirEntry[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { name } of entries) {
    if (name.endsWith("_init") && relationName(name)) found.add(name.slice(0, -"_init".length));
  }
  return found;
}

function isUnlogged(name: string, unlogged: ReadonlySet<string>): boolean {
  const relation = relationName(name);
  return relation !== undefined && relation.fork !== "init" &&
    unlogged.has(String(relation.number));
}

/** A failure to read the data directory, with the usual remedy. */
export function cannotRead(path: string, cause: unknown): PostgresError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PostgresError(
    `cannot read ${path}: ${reason}`,
    "run backupctl as the user that PostgreSQL runs as, or take the backup with --source stream",
    { cause },
  );
}
