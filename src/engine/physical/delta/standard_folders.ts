import * as fs from "node:fs";
import { cannotWrite } from "../../destination/cannot_write.ts";

/**
 * Folders that every data directory has, empty or not. A restore that leaves out chunks leaves out
 * empty folders in them. PostgreSQL source, src/bin/initdb/initdb.c (subdirs).
 */
const FOLDERS = [
  "base",
  "global",
  "pg_commit_ts",
  "pg_dynshmem",
  "pg_logical",
  "pg_logical/mappings",
  "pg_logical/snapshots",
  "pg_multixact",
  "pg_multixact/members",
  "pg_multixact/offsets",
  "pg_notify",
  "pg_replslot",
  "pg_serial",
  "pg_snapshots",
  "pg_stat",
  "pg_stat_tmp",
  "pg_subtrans",
  "pg_tblspc",
  "pg_twophase",
  "pg_wal",
  "pg_wal/archive_status",
  "pg_xact",
] as const;
const SINCE_17 = ["pg_wal/summaries"] as const;

/** Whether every data directory has it. */
export function isStandardFolder(path: string): boolean {
  return [...FOLDERS, ...SINCE_17].some((folder) => folder === path);
}

/** Makes those that are missing. @returns them. @throws {DestinationError} */
export function makeStandardFolders(
  destination: string,
  { postgresVersion }: { readonly postgresVersion: number },
): readonly string[] {
  const created: string[] = [];
  for (const folder of [...FOLDERS, ...(postgresVersion >= 170_000 ? SINCE_17 : [])]) {
    const path = `${destination}/${folder}`;
    if (fs.existsSync(path)) continue;
    try {
      fs.mkdirSync(path, 0o700);
    } catch (error) {
      throw cannotWrite(path, error);
    }
    created.push(path);
  }
  return created;
}
