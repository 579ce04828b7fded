import type { TargetServer } from "./target_server.ts";

/** What came of the roles and tablespaces. */
export interface GlobalsReport {
  /** Roles that were there already; they are left as they are. */
  readonly kept: number;
  /** What the server refused, as it said it. */
  readonly errors: readonly string[];
  /** Tablespaces of the backup that the server does not have. */
  readonly missingTablespaces: readonly string[];
}

/** SQLSTATE of a role or tablespace that exists already. */
const DUPLICATE_OBJECT = "42710";
/** A name as pg_dumpall writes it: plain, or in double quotes. */
const NAME = String.raw`("(?:[^"]|"")*"|[^\s";]+)`;
const OF_ROLE = new RegExp(`^(CREATE|ALTER) ROLE ${NAME}(?=[ ;])`);
const LOCATION = new RegExp(
  String.raw`^(CREATE TABLESPACE ${NAME}(?: OWNER ${NAME})?) LOCATION E?'(?:[^']|'')*'`,
  "gm",
);
const CREATE_TABLESPACE = new RegExp(`^CREATE TABLESPACE ${NAME} `, "gm");

/**
 * Creates the roles and tablespaces that the server lacks. Roles that it has keep their passwords
 * and attributes: a restore into a live server must not change who may log in there.
 */
export async function restoreGlobals(
  server: TargetServer,
  sql: string,
  { inPlaceTablespaces = false }: { readonly inPlaceTablespaces?: boolean } = {},
): Promise<GlobalsReport> {
  const roles = await server.names("rolname", "pg_roles");
  const { script, kept } = withoutRoles(sql, roles);
  const complaints = await server.runForeign(inPlaceTablespaces ? inPlace(script) : script);
  const errors = complaints.filter((complaint) => !complaint.startsWith(DUPLICATE_OBJECT));
  const wanted = [...sql.matchAll(CREATE_TABLESPACE)].map(([, name]) => unquoted(name!));
  const there = wanted.length > 0 ? await server.names("spcname", "pg_tablespace") : new Set();
  return { kept, errors, missingTablespaces: wanted.filter((name) => !there.has(name)) };
}

/**
 * Tablespaces without a place of their own: that of the original may be on this very machine, and
 * in use. PostgreSQL docs, "Developer Options", allow_in_place_tablespaces.
 */
export function inPlace(script: string): string {
  return `SET allow_in_place_tablespaces = on;\n${script.replace(LOCATION, "$1 LOCATION ''")}`;
}

/** Leaves out the lines that create or alter roles in `existing`. */
export function withoutRoles(
  sql: string,
  existing: ReadonlySet<string>,
): { readonly script: string; readonly kept: number } {
  let kept = 0;
  const lines = sql.split("\n").filter((line) => {
    const match = OF_ROLE.exec(line);
    if (!match || !existing.has(unquoted(match[2]!))) return true;
    if (match[1] === "CREATE") kept += 1;
    return false;
  });
  return { script: lines.join("\n"), kept };
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}
