/** A database with one of each kind of object that a dump must bring back. */

/** Roles of the cluster; run before {@link zooSchema}. */
export const ZOO_ROLES = `
  CREATE ROLE zoo_owner LOGIN PASSWORD 'it''s \\ secret';
  CREATE ROLE "zoo Reader" NOLOGIN;
  CREATE ROLE zoo_member LOGIN CONNECTION LIMIT 3 VALID UNTIL '2040-01-01 00:00+00';
  GRANT "zoo Reader" TO zoo_member;
  ALTER ROLE zoo_owner SET work_mem = '8MB';
  COMMENT ON ROLE "zoo Reader" IS 'reads;
    and -- nothing else';`;

/** The objects of one database. */
export function zooSchema({ rows }: { readonly rows: number }): string {
  return `
  SET client_min_messages = warning;
  CREATE EXTENSION IF NOT EXISTS plpgsql;
  CREATE SCHEMA "odd ""schema""" AUTHORIZATION zoo_owner;
  CREATE TYPE "odd ""schema""".mood AS ENUM ('sad', 'o''k', 'ünï');
  CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
  CREATE TYPE pair AS (a integer, b text);
  CREATE COLLATION plain (provider = libc, locale = 'C');
  CREATE SEQUENCE counter START 7 INCREMENT 3 OWNED BY NONE;
  SELECT nextval('counter'), nextval('counter');
  CREATE TABLE people (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL COLLATE plain,
    mood "odd ""schema""".mood DEFAULT 'o''k',
    born date,
    tags text[],
    data jsonb,
    photo bytea,
    twice integer GENERATED ALWAYS AS (length(name) * 2) STORED,
    amount numeric(20, 5) CHECK (amount >= 0));
  INSERT INTO people (name, born, tags, data, photo, amount)
    SELECT 'person ' || i || E' \\t \\\\ "ünï" ' || chr(10) || 'line', date '2000-01-01' + i % 9999,
           ARRAY['a', NULL, 'c,"' || i], jsonb_build_object('i', i, 'n', NULL),
           decode(md5(i::text), 'hex'), i / 7.0
      FROM generate_series(1, ${rows}) AS i;
  INSERT INTO people (name) VALUES (''), (repeat('long ', 200000));
  CREATE INDEX people_lower ON people (lower(name)) WHERE born IS NOT NULL;
  CREATE TABLE logs (at timestamptz NOT NULL, level integer, text text) PARTITION BY RANGE (at);
  CREATE TABLE logs_2025 PARTITION OF logs FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
  CREATE TABLE logs_rest PARTITION OF logs DEFAULT;
  INSERT INTO logs SELECT timestamptz '2025-12-30 00:00Z' + i * interval '1 hour', i % 5, 'x' || i
    FROM generate_series(1, 100) AS i;
  CREATE TABLE parent (a integer);
  CREATE TABLE child (b integer) INHERITS (parent);
  CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS one;
  CREATE TABLE empty ();
  CREATE VIEW grown AS SELECT id, name FROM people WHERE born < '2010-01-01';
  CREATE MATERIALIZED VIEW counted AS SELECT level, count(*) FROM logs GROUP BY level;
  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $f$
    BEGIN NEW.level := coalesce(NEW.level, 0); RETURN NEW; END $f$;
  CREATE TRIGGER touched BEFORE INSERT ON logs FOR EACH ROW EXECUTE FUNCTION touch();
  CREATE RULE ignore AS ON DELETE TO parent DO INSTEAD NOTHING;
  CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1';
  CREATE AGGREGATE total (integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
  CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq);
  CREATE CAST (pair AS text) WITH INOUT;
  CREATE STATISTICS people_stats ON name, born FROM people;
  CREATE PUBLICATION news FOR TABLE people;
  CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
  ALTER TABLE people ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON people FOR SELECT TO "zoo Reader" USING (name = current_user);
  GRANT SELECT (id, name), UPDATE (name) ON people TO "zoo Reader" WITH GRANT OPTION;
  GRANT USAGE ON SCHEMA "odd ""schema""" TO PUBLIC;
  ALTER DEFAULT PRIVILEGES FOR ROLE zoo_owner GRANT SELECT ON TABLES TO "zoo Reader";
  ALTER TABLE logs OWNER TO zoo_owner;
  COMMENT ON TABLE people IS 'they''re people; -- really
second line';
  SELECT lo_from_bytea(424242, decode(repeat('00ff10', 5000), 'hex'));
  SELECT lo_from_bytea(424243, '');
  GRANT SELECT ON LARGE OBJECT 424242 TO zoo_member;
  COMMENT ON LARGE OBJECT 424242 IS 'bytes';`;
}

/** Names of databases that are awkward in shells, paths, URLs and connection strings. */
export const ODD_DATABASES: readonly string[] = [
  `quo"te's \\ back`,
  "Ünïcödé with ☃",
  "host=nowhere dbname=x",
  "postgres://example/x",
  "..",
  "-leading;$(x)`y`",
  "new\nline",
  "a/b%~",
];
