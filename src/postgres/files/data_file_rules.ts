/**
 * Which files of a data directory belong into a backup. PostgreSQL docs, "Making a Base Backup
 * Using the Low Level API", and src/backend/backup/basebackup.c, whose lists these are.
 *
 * @module
 */

/** Folders whose content belongs to the running server. They are kept, empty. */
const EMPTY_FOLDERS: ReadonlySet<string> = new Set([
  "pg_dynshmem",
  "pg_notify",
  "pg_replslot",
  "pg_serial",
  "pg_snapshots",
  "pg_stat_tmp",
  "pg_subtrans",
]);

/** Files that are left out wherever they lie. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  "postgresql.auto.conf.tmp",
  "current_logfiles.tmp",
  "backup_label",
  "tablespace_map",
  "backup_manifest",
  "postmaster.pid",
  "postmaster.opts",
  ".DS_Store",
]);

/** Of the data directory itself: they make a server a standby, which a restored one is not. */
const LEFT_OUT_AT_THE_TOP: ReadonlySet<string> = new Set(["recovery.signal", "standby.signal"]);

/** Sorts and hash joins spill here; a crash leaves them behind. */
const TEMPORARY = "pgsql_tmp";
/** Caches of the catalogue, made anew at need; a suffix is one being written. */
const RELCACHE = "pg_internal.init";
/** A temporary relation: `t`, the backend's number, the relation's; its forks and segments. */
const TEMPORARY_RELATION = /^t\d+_\d+(?:_[a-z]+)?(?:\.\d+)?$/;

const RELATION = /^(\d+)(?:_(fsm|vm|init))?(?:\.(\d+))?$/;
const DATABASE_FOLDER = /^(?:base\/\d+|pg_tblspc\/\d+\/[^/]+\/\d+)$/;

/** A file of a relation, as its name tells. */
export interface RelationFile {
  /** The relfilenode. */
  readonly number: number;
  /** `main` has the rows; the free space map, the visibility map, and what unlogged ones restart from. */
  readonly fork: "main" | "fsm" | "vm" | "init";
  /** Segments of usually 1 GiB are counted from 0. */
  readonly segment: number;
}

/** Whether a folder of the data directory is stored without what is in it. */
export function isKeptEmpty(path: string): boolean {
  return EMPTY_FOLDERS.has(path);
}

/** Whether a file or folder of this name is left out, with all that is in it. */
export function isLeftOut(folder: string, name: string): boolean {
  if (isDigit(name.charCodeAt(0))) return false; // nearly all are relations
  if (LEFT_OUT.has(name) || name.startsWith(TEMPORARY) || name.startsWith(RELCACHE)) return true;
  if (folder === "") return LEFT_OUT_AT_THE_TOP.has(name);
  return DATABASE_FOLDER.test(folder) && TEMPORARY_RELATION.test(name);
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Whether relations of one database lie in this folder. */
export function isDatabaseFolder(path: string): boolean {
  return DATABASE_FOLDER.test(path);
}

/**
 * What relation a file belongs to; undefined for all that is no relation.
 *
 * @param path below the data directory, tablespaces as `pg_tblspc/<oid>/…`.
 */
export function relationFile(path: string): RelationFile | undefined {
  const slash = path.lastIndexOf("/");
  const folder = path.slice(0, Math.max(0, slash));
  if (folder !== "global" && !DATABASE_FOLDER.test(folder)) return undefined;
  return relationName(path.slice(slash + 1));
}

/** The same of a name in a folder of relations. */
export function relationName(name: string): RelationFile | undefined {
  const match = RELATION.exec(name);
  if (!match) return undefined;
  return {
    number: Number(match[1]),
    fork: (match[2] ?? "main") as RelationFile["fork"],
    segment: Number(match[3] ?? 0),
  };
}
