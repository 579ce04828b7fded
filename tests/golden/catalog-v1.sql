-- The index as version 1 of its schema made it, with data in it. Never changed: later versions must
-- take it over as it is.
DO $migrate0$
DECLARE current integer;
BEGIN
  PERFORM pg_catalog.pg_advisory_xact_lock(1650549611, pg_catalog.hashtext(E'backupctl'));
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = E'backupctl') THEN
    CREATE SCHEMA "backupctl";
  END IF;
  IF pg_catalog.to_regclass(E'"backupctl".schema_version') IS NULL THEN
    CREATE TABLE "backupctl".schema_version (
      version integer PRIMARY KEY,
      applied_at timestamptz NOT NULL DEFAULT pg_catalog.now());
  END IF;
  SELECT coalesce(pg_catalog.max(version), 0) INTO current FROM "backupctl".schema_version;
  IF current < 1 THEN
   CREATE TABLE "backupctl".backups (
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
   PRIMARY KEY (cluster, system_identifier, id));
COMMENT ON TABLE "backupctl".backups IS
   'What backup.json of each backup says; "backupctl catalog rebuild" makes it anew';
COMMENT ON COLUMN "backupctl".backups.manifest IS 'backup.json without its objects';
CREATE INDEX backups_stopped_at ON "backupctl".backups (cluster, stopped_at);
CREATE TABLE "backupctl".runs (
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
   tool_version text NOT NULL);
COMMENT ON TABLE "backupctl".runs IS 'Every run of backupctl, the failed ones too';
CREATE INDEX runs_finished_at ON "backupctl".runs (cluster, finished_at DESC);
   INSERT INTO "backupctl".schema_version (version) VALUES (1);
 END IF;
END$migrate0$;

INSERT INTO backupctl.backups VALUES
  ('main', '7345678901234567890', '20261122T020000Z-F', 'physical', 'full', NULL, 'weekly',
   '2026-11-22 02:00:00.25+00', '2026-11-22 02:05:00+00', 3, '0/9A000028', '0/9B0000F8', 170006,
   2, 1200, 490, 'db1', '0.1.0', '{"id": "20261122T020000Z-F", "method": "physical"}'),
  ('other', '42', '20261123T022415Z-L', 'logical', 'full', NULL, NULL,
   '2026-11-23 02:24:15.12+00', '2026-11-23 02:25:03.004+00', NULL, NULL, NULL, 150018,
   1, 12345, 4321, NULL, '0.1.0', '{"id": "20261123T022415Z-L", "method": "logical"}');
INSERT INTO backupctl.runs VALUES
  ('00000000-0000-4000-8000-000000000001', 'main', 'backup full', 'succeeded',
   '2026-11-22 02:00:00.25+00', '2026-11-22 02:05:00.5+00', 300.25, '20261122T020000Z-F',
   4503599627370497, 490, NULL, NULL, NULL, 'db1', '0.1.0'),
  ('00000000-0000-4000-8000-000000000002', 'main', 'restore', 'failed',
   '2026-11-22 03:00:00+00', '2026-11-22 03:00:01+00', 1, NULL, NULL, NULL, 'DESTINATION',
   'it''s not empty ☃', NULL, NULL, '0.1.0');
