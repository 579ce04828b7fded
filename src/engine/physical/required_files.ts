/** Files without which a restored cluster could not start, or would start damaged. */
export const REQUIRED_FILES = ["PG_VERSION", "backup_label", "global/pg_control"] as const;
