/** A throwaway cluster that holds a realistic database, and the comparison of two of them. */
import { type Cluster, type ClusterOptions, startCluster } from "./postgres_cluster.ts";
import { documentRows, DOCUMENTS_TABLE, shopTables, TABLE_HASHES } from "./realistic_rows.ts";
import { serverUser } from "./server_user.ts";

/** The database that is filled, and its tables. */
export const SHOP = "shop";
const TABLES = ["customers", "documents", "order_items", "orders"] as const;

/** The rows of a table and a hash of them that no order changes. */
export interface TableState {
  readonly name: string;
  readonly rows: number;
  readonly hash: string;
}

/** How much to fill in, and into what kind of cluster. */
export interface ShopOptions extends ClusterOptions {
  /** About so much in tables and indexes. */
  readonly megabytes: number;
  /** @default {1} */
  readonly seed?: number;
}

/** Starts a cluster with the database `shop` of about so many megabytes. */
export async function startShop(
  { megabytes, seed = 1, ...options }: ShopOptions,
): Promise<Cluster> {
  const cluster = await startCluster({
    ...options,
    settings: { shared_buffers: "128MB", max_wal_size: "4GB", ...options.settings },
  });
  try {
    await cluster.query(`create database ${SHOP}`);
    const scale = Math.max(1, Math.round(megabytes * 0.3 / 20));
    for (const statement of [DOCUMENTS_TABLE, ...shopTables(scale)]) {
      await cluster.query(statement, { database: SHOP });
    }
    await addDocuments(cluster, { bytes: megabytes * 0.6 * 1e6, seed });
    await cluster.query("vacuum analyze", { database: SHOP });
    await cluster.query("checkpoint");
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

/** Adds about `bytes` of rows to `documents`, by COPY through psql. */
export async function addDocuments(
  cluster: Cluster,
  { bytes, seed, firstId = 0 }: {
    readonly bytes: number;
    readonly seed: number;
    readonly firstId?: number;
  },
): Promise<void> {
  const user = serverUser();
  const child = new Deno.Command(`${cluster.binDir}/psql`, {
    args: ["-XqAt", "-v", "ON_ERROR_STOP=1", "-c", "copy documents from stdin", SHOP],
    env: { PGHOST: cluster.socketDir, PGPORT: String(cluster.port), PGUSER: cluster.user },
    cwd: cluster.folder,
    stdin: "piped",
    stdout: "null",
    ...user,
  }).spawn();
  const writer = child.stdin.getWriter();
  const encoder = new TextEncoder();
  for (const batch of documentRows(bytes, { seed, firstId })) {
    await writer.write(encoder.encode(batch));
  }
  await writer.close();
  const { success, code } = await child.status;
  if (!success) throw new Error(`psql ended with ${code}`);
}

/** Writes to every table, so that a later restore must not show it. */
export async function writeMore(cluster: Cluster): Promise<void> {
  await addDocuments(cluster, { bytes: 2e6, seed: 2, firstId: 1_000_000_000 });
  const changes = [
    "update customers set city = 'Coimbra' where id % 50 = 0",
    "insert into orders (customer_id, placed_at, status, total) select 1, now(), 'late', 1 from generate_series(1, 1000)",
    "delete from order_items where order_id % 97 = 0",
  ];
  for (const statement of changes) await cluster.query(statement, { database: SHOP });
}

/** The state of every table, by name. */
export async function tableStates(cluster: Cluster, database = SHOP): Promise<TableState[]> {
  const rows = await cluster.query(TABLE_HASHES(TABLES), { database });
  return rows.map(({ name, rows, hash }) => ({
    name: String(name),
    rows: Number(rows),
    hash: String(hash),
  }));
}
