/** Real increments: a server with WAL summaries, a repository in a folder, and the engines. */
import type { BackupManifest } from "../../src/catalog/catalog.ts";
import { openRepository } from "../../src/catalog/repository.ts";
import { WorkerPool } from "../../src/codec/worker_pool.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { silentProgress } from "../../src/domain/progress.ts";
import { BackupEngine } from "../../src/engine/backup_engine.ts";
import type { BackupParts, RestoreOptions, RestoreReport } from "../../src/engine/parts.ts";
import { RestoreEngine } from "../../src/engine/restore_engine.ts";
import { FileSource } from "../../src/postgres/files/file_source.ts";
import { StreamSource } from "../../src/postgres/replication/stream_base_backup.ts";
import { SqlServer } from "../../src/postgres/sql_server.ts";
import { DirectoryStore } from "../../src/storage/directory.ts";
import { type ClusterMajor, clusterMajors } from "./postgres_binaries.ts";
import { type Cluster, giveToServer, makeServerFolder } from "./postgres_cluster.ts";
import { removeTree } from "./remove_tree.ts";

const ZSTD = { algorithm: "zstd", level: 1 } as const;

/** The installations whose servers send increments; prints why there is none. */
export function incrementalMajors(): readonly ClusterMajor[] {
  const found = clusterMajors().filter(({ major }) => major >= 17);
  if (found.length === 0) {
    console.warn(
      "NO TEST OF REAL INCREMENTS: they need PostgreSQL 17 or later in BACKUPCTL_TEST_PG_BINS",
    );
  }
  return found;
}

/** What a server needs to send increments. */
export const SUMMARIES = { summarize_wal: "on", wal_level: "replica" } as const;

/** A cluster's repository and the engines that go between them. */
export class IncrementWorld implements AsyncDisposable {
  readonly folder: string;
  readonly parts: BackupParts;
  readonly #cluster: Cluster;
  readonly #server: SqlServer;
  readonly #codecs = new WorkerPool(2);
  #restores = 0;

  readonly #source: "stream" | "files";

  constructor(cluster: Cluster, folder: string, source: "stream" | "files") {
    this.#source = source;
    const connection = cluster.connection();
    const store = new DirectoryStore(`${folder}/repository`, { create: true });
    this.folder = folder;
    this.#cluster = cluster;
    this.#server = new SqlServer(connection);
    this.parts = {
      store,
      connection,
      progress: silentProgress,
      repository: openRepository(store, { cluster: "main" }),
      codecs: this.#codecs,
      server: this.#server,
      baseBackups: new StreamSource(connection),
      fileBackups: new FileSource(connection),
      programs: {} as BackupParts["programs"],
      clock: systemClock,
      toolVersion: "0.0.0",
      host: "test",
    };
  }

  /** @param source where backups come from. @default {"stream"} */
  static async open(
    cluster: Cluster,
    { source = "stream" }: { readonly source?: "stream" | "files" } = {},
  ): Promise<IncrementWorld> {
    const folder = await makeServerFolder("backupctl-increments-");
    return new IncrementWorld(cluster, folder, source);
  }

  async full(): Promise<BackupManifest> {
    return await new BackupEngine(this.parts).full({
      ...{ method: "physical", codec: ZSTD, fastCheckpoint: true, source: this.#source },
    });
  }

  /** An increment on the newest backup, or the full one that was taken instead, and why. */
  async increment(
    maxChain = 100,
  ): Promise<{ readonly manifest: BackupManifest; readonly because?: string }> {
    const engine = new BackupEngine(this.parts);
    const source = this.#source;
    const choice = await engine.parent({ maxChain, source });
    if ("because" in choice) return { manifest: await this.full(), because: choice.because };
    return await engine.incremental({ on: choice, codec: ZSTD, fastCheckpoint: true, source });
  }

  /** Into a folder of its own, tablespaces too. */
  async restore(
    backup: BackupManifest,
    options: Partial<RestoreOptions> = {},
  ): Promise<RestoreReport> {
    this.#restores += 1;
    const destination = `${this.folder}/restored-${this.#restores}`;
    const map = backup.tablespaces.map(({ oid, location }) =>
      [location, `${destination}-${oid}`] as const
    );
    return await new RestoreEngine(this.parts).restore(backup, {
      ...{ destination, jobs: 2, tablespaceMap: new Map(map), ...options },
    });
  }

  /** The plain folders of a chain, as `tar` and `zstd` unpack the chunks, for PostgreSQL's tools. */
  async unpackPlain(chain: readonly BackupManifest[]): Promise<readonly string[]> {
    const folders: string[] = [];
    for (const backup of chain) {
      const folder = await makeServerFolder("backupctl-plain-");
      const source = `${this.folder}/repository/${this.parts.repository.folder(backup)}`;
      for (const { key, role } of backup.objects) {
        if (role === "file_list") continue;
        const command = role === "chunk"
          ? `zstd -dcq '${source}${key}' | tar -x -C '${folder}'`
          : `zstd -dcq '${source}${key}' > '${folder}/backup_manifest'`;
        const { success } = await new Deno.Command("/bin/sh", { args: ["-c", command] }).output();
        if (!success) throw new Error(`${command} failed`);
      }
      await giveToServer(folder);
      folders.push(folder);
    }
    return folders;
  }

  /** Runs one of the installation's programs. */
  async run(program: string, args: readonly string[]): Promise<string> {
    return (await this.#cluster.run(program, args)).output;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#codecs.close();
    await this.#server.close();
    await removeTree(this.folder);
  }
}
