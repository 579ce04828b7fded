/** Files without which a restored cluster could not start, or would start damaged. */
export const REQUIRED_FILES = ["PG_VERSION", "backup_label", "global/pg_control"] as const;

/** The name under which pg_control waits until all else is safe on disk: no server starts without. */
export const PENDING_CONTROL_FILE = "global/pg_control.restoring";
/** What PostgreSQL looks for. */
export const CONTROL_FILE = "global/pg_control";

/**
 * What belongs to the running server, not to the data. PostgreSQL leaves the first two out itself
 * and lists the others in its manifest, where pg_verifybackup does not miss them.
 */
export const NOT_STORED: ReadonlySet<string> = new Set([
  "postmaster.pid",
  "postmaster.opts",
  "recovery.signal",
  "standby.signal",
]);
