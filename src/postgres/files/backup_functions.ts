/** The functions that begin and end a backup: renamed in PostgreSQL 15, without exclusive mode. */
export interface BackupFunctions {
  /** Of `$1`, the label, and `$2`, whether to hurry the checkpoint. */
  readonly start: string;
  /** One row: lsn, labelfile, spcmapfile. It does not wait for the archiver. */
  readonly stop: string;
  /** For `has_function_privilege`. */
  readonly signatures: readonly string[];
}

/** PostgreSQL docs, "Backup Control Functions", of 14 and of 15. */
export function backupFunctions(major: number): BackupFunctions {
  if (major >= 15) {
    return {
      start: "select pg_catalog.pg_backup_start($1, $2::boolean)::text as lsn",
      stop: "select lsn::text, labelfile, spcmapfile from pg_catalog.pg_backup_stop(false)",
      signatures: ["pg_backup_start(text, boolean)", "pg_backup_stop(boolean)"],
    };
  }
  return {
    start: "select pg_catalog.pg_start_backup($1, $2::boolean, false)::text as lsn",
    stop: "select lsn::text, labelfile, spcmapfile from pg_catalog.pg_stop_backup(false, false)",
    signatures: ["pg_start_backup(text, boolean, boolean)", "pg_stop_backup(boolean, boolean)"],
  };
}
