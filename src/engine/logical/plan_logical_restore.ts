import { resolve } from "node:path";
import type { BackupManifest } from "../../catalog/catalog.ts";
import { formatBytes } from "../../domain/bytes.ts";
import { UsageError } from "../../domain/errors.ts";
import type { ConnectionOptions } from "../../postgres/postgres.ts";
import type { RestoreOptions, RestoreParts, RestorePlan } from "../parts.ts";
import { freeSpace } from "../destination/free_space.ts";
import { inspectFolder } from "../destination/inspect_folder.ts";
import { serverAddress } from "./connection_string.ts";
import { filledDatabases, filledRemedy } from "./filled_databases.ts";
import { type DumpSelection, selectDumps } from "./object_names.ts";
import { chooseTables, type TableChoice } from "./table_choice.ts";
import { TargetServer } from "./target_server.ts";

/** What is restored, and how. */
export interface RestoreRun {
  readonly backup: BackupManifest;
  readonly options: RestoreOptions;
}

/** Where a logical backup goes to. */
export type LogicalTarget =
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "server"; readonly connection: ConnectionOptions };

/**
 * What a restore of a logical backup would do. Asks the target server, and changes nothing.
 *
 * @throws {UsageError} when the options do not fit the backup.
 * @throws {NothingMatchesError} for a database that the backup does not have.
 * @throws {PostgresError} when the target server cannot be asked.
 */
export async function planLogicalRestore(
  parts: RestoreParts,
  { backup, options }: RestoreRun,
): Promise<RestorePlan> {
  const target = logicalTarget(options);
  const selection = selectDumps(backup, options.databases);
  const objects = [...(selection.globals ? [selection.globals] : []), ...selection.dumps];
  const writeBytes = sum(objects.map(({ rawBytes }) => rawBytes));
  const freeBytes = target.kind === "folder" ? freeSpace(target.path) : null;
  return {
    backup,
    chain: [backup],
    destination: target.kind === "folder" ? target.path : serverAddress(target.connection),
    objects: objects.length,
    fetchBytes: sum(objects.map(({ storedBytes }) => storedBytes)),
    writeBytes,
    freeBytes,
    tablespaces: [],
    ...(target.kind === "folder"
      ? await folderObstacles(target.path, { writeBytes, freeBytes })
      : await serverObstacles(parts, {
        ...{ connection: target.connection, backup, selection },
        ...(options.tables && { tables: checkedTables(options, selection) }),
      })),
  };
}

/** @throws {UsageError} unless exactly one target is given. */
export function logicalTarget(
  { destination, into, tablespaceMap, tables }: RestoreOptions,
): LogicalTarget {
  if (tables && !into) {
    throw new UsageError(
      "single tables can only be restored into a live server",
      "give --into, or restore the dump files and call pg_restore --table",
    );
  }
  if (tablespaceMap && tablespaceMap.size > 0) {
    throw new UsageError(
      "a logical backup has no tablespaces to move",
      "create them on the target server before the restore",
    );
  }
  if (into && destination !== undefined) {
    throw new UsageError(
      "both a destination folder and a server to restore into are given",
      "give --destination for dump files, or --into for a live server",
    );
  }
  if (into) return { kind: "server", connection: into };
  if (destination) return { kind: "folder", path: resolve(destination) };
  throw new UsageError(
    "nothing is given to restore into",
    "give --destination for dump files, or --into for a live server",
  );
}

type Obstacles = Pick<RestorePlan, "obstacles" | "remedy">;

async function folderObstacles(
  path: string,
  { writeBytes, freeBytes }: { readonly writeBytes: number; readonly freeBytes: number | null },
): Promise<Obstacles> {
  const found: string[] = [];
  const folder = await inspectFolder(path);
  if (folder.state === "unusable") found.push(folder.reason);
  if (freeBytes !== null && writeBytes > freeBytes) {
    found.push(
      `${path} has room for ${formatBytes(freeBytes)}, ${formatBytes(writeBytes)} are needed`,
    );
  }
  const remedy = "choose a folder that is absent or empty, with room enough";
  return { obstacles: found, ...(found.length > 0 && { remedy }) };
}

async function serverObstacles(
  { programs }: RestoreParts,
  { connection, backup, selection, tables }: {
    readonly connection: ConnectionOptions;
    readonly backup: BackupManifest;
    readonly selection: DumpSelection;
    readonly tables?: TableChoice;
  },
): Promise<Obstacles> {
  const server = await TargetServer.open(programs, { connection, backup });
  if (tables) {
    const obstacles = await tableObstacles(server, selection.dumps[0]!.database, tables);
    return { obstacles, ...(obstacles.length > 0 && { remedy: "drop or rename it first" }) };
  }
  const wanted = [...new Set(selection.dumps.map(({ database }) => database))];
  const filled = await filledDatabases(server, wanted);
  const obstacles = filled.map(({ name, holds, hasMore }) =>
    `database ${JSON.stringify(name)} on ${server.address} is not empty: it holds ` +
    `${holds.join(", ")}${hasMore ? " and more" : ""}`
  );
  return { obstacles, ...(obstacles.length > 0 && { remedy: filledRemedy(filled, wanted) }) };
}

/** @throws {UsageError} unless they are of one database. */
function checkedTables({ tables = [] }: RestoreOptions, { dumps }: DumpSelection): TableChoice {
  const databases = new Set(dumps.map(({ database }) => database));
  if (databases.size === 1) return chooseTables(tables);
  throw new UsageError(
    `tables are restored from one database, and ${databases.size} are chosen`,
    "name it with --database",
  );
}

/** Those that are there already: their rows would be mixed with the backup's. */
async function tableObstacles(
  server: TargetServer,
  database: string,
  { schema, names }: TableChoice,
): Promise<string[]> {
  if (!(await server.names("datname", "pg_database")).has(database)) return [];
  const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;
  const within = schema === undefined
    ? ""
    : `AND relnamespace::regnamespace::text = quote_ident(${literal(schema)})`;
  const found = await server.ask(
    "SELECT coalesce(json_agg(oid::regclass::text), '[]') FROM pg_catalog.pg_class " +
      `WHERE relkind IN ('r', 'p') AND relname IN (${names.map(literal).join(", ")}) ${within}`,
    { database },
  );
  return (JSON.parse(found) as string[]).map((table) =>
    `table ${table} is there already in database ${JSON.stringify(database)} on ${server.address}`
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
