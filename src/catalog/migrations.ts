import { quoteIdentifier, quoteLiteral } from "./sql_quote.ts";

/** The schema of the index: one step a version, applied once, in order, never changed later. */

/** The version that this program reads and writes: the last step's. */
export const SCHEMA_VERSION = 2;

/** Statements of each version, from 1 on. `schema` is quoted already. */
const STEPS: readonly ((schema: string) => readonly string[])[] = [
  (schema) => [
    `CREATE TABLE ${schema}.backups (
       cluster text NOT NULL,
       system_identifier text NOT NULL,
       id text NOT NULL,
       method text NOT NULL,
       kind text NOT NULL,
       parent_id text,
       label text,
       started_at timestamptz NOT NULL,
       stopped_at timestamptz NOT NULL,
       timeline bigint,
       start_lsn pg_lsn,
       stop_lsn pg_lsn,
       postgres_version integer NOT NULL,
       objects bigint NOT NULL,
       raw_bytes bigint NOT NULL,
       stored_bytes bigint NOT NULL,
       host text,
       tool_version text NOT NULL,
       manifest jsonb NOT NULL,
       PRIMARY KEY (cluster, system_identifier, id))`,
    `COMMENT ON TABLE ${schema}.backups IS
       'What backup.json of each backup says; "backupctl catalog rebuild" makes it anew'`,
    `COMMENT ON COLUMN ${schema}.backups.manifest IS 'backup.json without its objects'`,
    `CREATE INDEX backups_stopped_at ON ${schema}.backups (cluster, stopped_at)`,
    `CREATE TABLE ${schema}.runs (
       run_id uuid PRIMARY KEY,
       cluster text NOT NULL,
       operation text NOT NULL,
       outcome text NOT NULL CHECK (outcome IN ('succeeded', 'failed', 'interrupted')),
       started_at timestamptz NOT NULL,
       finished_at timestamptz NOT NULL,
       duration_seconds double precision NOT NULL,
       backup_id text,
       raw_bytes bigint,
       stored_bytes bigint,
       error_code text,
       error_message text,
       error_hint text,
       host text,
       tool_version text NOT NULL)`,
    `COMMENT ON TABLE ${schema}.runs IS 'Every run of backupctl, the failed ones too'`,
    `CREATE INDEX runs_finished_at ON ${schema}.runs (cluster, finished_at DESC)`,
  ],
  (schema) => [
    `ALTER TABLE ${schema}.backups ADD COLUMN removed_at timestamptz`,
    `COMMENT ON COLUMN ${schema}.backups.removed_at IS
       'when it was found to be gone from the repository; null: it is there'`,
    `ALTER TABLE ${schema}.backups ADD COLUMN seen_at timestamptz NOT NULL DEFAULT pg_catalog.now()`,
    `COMMENT ON COLUMN ${schema}.backups.seen_at IS 'when it was last known to be there'`,
    `CREATE TABLE ${schema}.storage_samples (
       cluster text NOT NULL,
       sampled_at timestamptz NOT NULL,
       kind text NOT NULL,
       count bigint NOT NULL,
       raw_bytes bigint,
       stored_bytes bigint NOT NULL,
       PRIMARY KEY (cluster, sampled_at, kind))`,
    `COMMENT ON TABLE ${schema}.storage_samples IS
       'How much room the repository took after each run, by kind'`,
    `CREATE TABLE ${schema}.audit (
       event_id uuid PRIMARY KEY,
       cluster text NOT NULL,
       at timestamptz NOT NULL,
       operation text NOT NULL,
       command text NOT NULL,
       outcome text NOT NULL CHECK (outcome IN ('succeeded', 'failed', 'interrupted')),
       exit_status integer NOT NULL,
       error_code text,
       os_user text,
       pg_role text,
       host text,
       tool_version text NOT NULL,
       recorded_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
       recorded_by text NOT NULL DEFAULT session_user)`,
    `COMMENT ON TABLE ${schema}.audit IS
       'Who did what with the repository, where, and how it ended; no command line holds a secret'`,
    `CREATE INDEX audit_at ON ${schema}.audit (cluster, at DESC)`,
  ],
];

/** The first half of the advisory lock's key: "back" in ASCII. The second is the schema's hash. */
const LOCK_CLASS = 0x6261636b;

/**
 * One statement, and so one transaction, that brings the schema to `version`, the newest one if not
 * told otherwise, from whatever it is. Hosts that do it at the same time wait for each other.
 *
 * The schema is created only when absent: CREATE SCHEMA IF NOT EXISTS asks for the right to create
 * even where nothing is to be done.
 */
export function migrationStatement(schemaName: string, version = SCHEMA_VERSION): string {
  const schema = quoteIdentifier(schemaName);
  const steps = STEPS.slice(0, version).map((step, index) =>
    `IF current < ${index + 1} THEN
       ${step(schema).join(";\n")};
       INSERT INTO ${schema}.schema_version (version) VALUES (${index + 1});
     END IF;`
  );
  const body = `
    DECLARE current integer;
    BEGIN
      PERFORM pg_catalog.pg_advisory_xact_lock(${LOCK_CLASS}, pg_catalog.hashtext(${
    quoteLiteral(schemaName)
  }));
      IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = ${
    quoteLiteral(schemaName)
  }) THEN
        CREATE SCHEMA ${schema};
      END IF;
      IF pg_catalog.to_regclass(${quoteLiteral(`${schema}.schema_version`)}) IS NULL THEN
        CREATE TABLE ${schema}.schema_version (
          version integer PRIMARY KEY,
          applied_at timestamptz NOT NULL DEFAULT pg_catalog.now());
      END IF;
      SELECT coalesce(pg_catalog.max(version), 0) INTO current FROM ${schema}.schema_version;
      ${steps.join("\n")}
    END`;
  const tag = freeTag(body);
  return `DO ${tag}${body}${tag}`;
}

/** A dollar quote that does not occur in `body`. */
function freeTag(body: string): string {
  for (let number = 0;; number++) {
    const tag = `$migrate${number}$`;
    if (!body.includes(tag)) return tag;
  }
}
