import { openRepository } from "../../src/catalog/repository.ts";
import type { BackupManifest } from "../../src/catalog/catalog.ts";
import { WorkerPool } from "../../src/codec/worker_pool.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { type Progress, silentProgress } from "../../src/domain/progress.ts";
import { BackupEngine, RestoreEngine } from "../../src/engine/engine.ts";
import type { BackupParts, FullBackupOptions, RestoreOptions } from "../../src/engine/parts.ts";
import type { ConnectionOptions } from "../../src/postgres/postgres.ts";
import { LocalPrograms } from "../../src/postgres/client_programs.ts";
import { SessionSnapshots } from "../../src/postgres/session_snapshots.ts";
import { StreamSource } from "../../src/postgres/replication/stream_base_backup.ts";
import { SqlServer } from "../../src/postgres/sql_server.ts";
import { MemoryStore } from "../../src/storage/memory.ts";
import type { Cluster } from "./postgres_cluster.ts";

/** What {@link LogicalRig.open} takes besides the cluster. */
export interface LogicalRigOptions {
  /** Another role or database to back up as and from. */
  readonly connection?: ConnectionOptions;
  /** The folder of the client programs. */
  readonly bin?: string;
  readonly progress?: Progress;
}

/** A cluster, a repository in memory, and the real parts between them. */
export class LogicalRig implements AsyncDisposable {
  readonly store = new MemoryStore();
  readonly parts: BackupParts;
  readonly #server: SqlServer;
  readonly #codecs = new WorkerPool(2);

  constructor(cluster: Cluster, options: LogicalRigOptions = {}) {
    const { connection = cluster.connection(), bin = cluster.binDir } = options;
    this.#server = new SqlServer(connection);
    this.parts = {
      store: this.store,
      connection,
      progress: options.progress ?? silentProgress,
      repository: openRepository(this.store, { cluster: "main" }),
      codecs: this.#codecs,
      server: this.#server,
      baseBackups: new StreamSource(connection),
      snapshots: new SessionSnapshots(connection),
      programs: new LocalPrograms({ bin, env: Deno.env.toObject() }),
      clock: systemClock,
      toolVersion: "0.0.0",
      host: "test",
    };
  }

  async backup(options: Partial<FullBackupOptions> = {}): Promise<BackupManifest> {
    return await new BackupEngine(this.parts).full({
      method: "logical",
      codec: { algorithm: "zstd", level: 1 },
      ...options,
    });
  }

  async restore(backup: BackupManifest, options: Partial<RestoreOptions>) {
    return await new RestoreEngine(this.parts).restore(backup, { jobs: 1, ...options });
  }

  /** Every key in the repository. */
  async keys(): Promise<string[]> {
    return (await Array.fromAsync(this.store.list(""))).map(({ key }) => key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#codecs.close();
    await this.#server.close();
  }
}

/** What pg_dump says of a database, without what changes from dump to dump. */
export async function describeDatabase(cluster: Cluster, database: string): Promise<string[]> {
  const create = database.includes("\n") ? [] : ["--create"]; // psql could not \\connect to it
  const { output } = await cluster.run("pg_dump", [...create, `--dbname=${asArgument(database)}`]);
  return stableLines(output);
}

/** What pg_dumpall says of roles and tablespaces. */
export async function describeGlobals(cluster: Cluster): Promise<string[]> {
  const { output } = await cluster.run("pg_dumpall", ["--globals-only"]);
  return stableLines(output);
}

function stableLines(sql: string): string[] {
  return sql.split("\n").filter((line) =>
    !/^\\(un)?restrict |^-- (Started|Completed) on/.test(line)
  );
}

function asArgument(database: string): string {
  return `dbname='${database.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
