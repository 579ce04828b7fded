import type { TargetServer } from "./target_server.ts";

/** A database that holds what its users made. */
export interface FilledDatabase {
  readonly name: string;
  /** Some of it, as people should read it. */
  readonly holds: readonly string[];
  /** There is more than `holds` says. */
  readonly hasMore: boolean;
  /** Schemas of backupctl's index, when it holds nothing else. */
  readonly onlyIndex: readonly string[];
}

const SHOWN = 3;

/** A schema in which backupctl keeps its index, told by the comment on a table of it. */
const IS_INDEX = `EXISTS (
  SELECT FROM pg_catalog.pg_class AS r JOIN pg_catalog.pg_description AS d
      ON d.objoid = r.oid AND d.classoid = 'pg_catalog.pg_class'::regclass AND d.objsubid = 0
   WHERE r.relnamespace = n.oid AND r.relname = 'runs' AND d.description LIKE '%backupctl%')`;
/** What users made: system objects have OIDs below 16384 (FirstNormalObjectId). */
const CONTENT = `
  WITH schemas AS (
    SELECT n.oid, quote_ident(nspname) AS name, ${IS_INDEX} AS is_index
      FROM pg_catalog.pg_namespace AS n
     WHERE n.oid >= 16384 AND nspname !~ '^pg_(toast|temp)' AND nspname <> 'public'
       AND n.oid NOT IN (SELECT extnamespace FROM pg_catalog.pg_extension)
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.objid = n.oid
                          AND d.classid = 'pg_catalog.pg_namespace'::regclass AND d.deptype = 'e')
  ), content AS (
    SELECT 'schema ' || name AS what, is_index, name FROM schemas
    UNION ALL
    SELECT c.oid::regclass::text, false, NULL FROM pg_catalog.pg_class AS c
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.oid >= 16384 AND n.nspname !~ '^pg_(toast|temp)' AND c.relkind NOT IN ('i', 'I')
       AND n.oid NOT IN (SELECT oid FROM schemas)
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.objid = c.oid
                          AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'e')
    UNION ALL
    SELECT 'function ' || p.oid::regprocedure::text, false, NULL FROM pg_catalog.pg_proc AS p
     WHERE p.oid >= 16384 AND p.pronamespace NOT IN (SELECT oid FROM schemas)
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.objid = p.oid
                          AND d.classid = 'pg_catalog.pg_proc'::regclass AND d.deptype = 'e')
    UNION ALL
    SELECT 'large objects', false, NULL
     WHERE EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)
  )
  SELECT coalesce(json_agg(shown), '[]') FROM (SELECT * FROM content LIMIT ${SHOWN + 1}) AS shown`;

interface Row {
  readonly what: string;
  readonly is_index: boolean;
  readonly name: string | null;
}

/** Those of `databases` that exist and hold anything. */
export async function filledDatabases(
  server: TargetServer,
  databases: readonly string[],
): Promise<readonly FilledDatabase[]> {
  const existing = await server.names("datname", "pg_database");
  const filled: FilledDatabase[] = [];
  for (const name of databases.filter((one) => existing.has(one))) {
    const rows: readonly Row[] = JSON.parse(await server.ask(CONTENT, { database: name }));
    if (rows.length === 0) continue;
    const isIndex = rows.length <= SHOWN && rows.every((row) => row.is_index);
    filled.push({
      name,
      holds: rows.slice(0, SHOWN).map(({ what, is_index: own }) =>
        own ? `${what} (backupctl's index)` : what
      ),
      hasMore: rows.length > SHOWN,
      onlyIndex: isIndex ? rows.map((row) => row.name!) : [],
    });
  }
  return filled;
}

/** Names that a hint has room for. */
const MOST_NAMED = 6;

/** How to clear the way. */
export function filledRemedy(
  filled: readonly FilledDatabase[],
  wanted: readonly string[],
): string {
  if (filled.length > 0 && filled.every(({ onlyIndex }) => onlyIndex.length > 0)) {
    const schemas = filled.flatMap(({ name, onlyIndex }) =>
      onlyIndex.map((schema) => `DROP SCHEMA ${schema} CASCADE in database ${name}`)
    );
    return `${schemas.join(", ")}: backupctl makes its index again by itself`;
  }
  const others = wanted.filter((name) => !filled.some((one) => one.name === name));
  const clear = "drop or rename what is in the way first";
  if (others.length === 0) return clear;
  const named = others.length > MOST_NAMED
    ? "the others, naming them with --database"
    : `the others: ${others.map((name) => `--database ${JSON.stringify(name)}`).join(" ")}`;
  return `${clear}, or restore only ${named}`;
}
