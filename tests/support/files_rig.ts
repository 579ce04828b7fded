/** A cluster, a repository in a folder, and the engines that go between them by the `files` source. */
import { openRepository } from "../../src/catalog/repository.ts";
import { WorkerPool } from "../../src/codec/worker_pool.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { type Progress, silentProgress } from "../../src/domain/progress.ts";
import { BackupEngine } from "../../src/engine/backup_engine.ts";
import type { BackupParts, FullBackupOptions, RestoreOptions } from "../../src/engine/parts.ts";
import { RestoreEngine } from "../../src/engine/restore_engine.ts";
import { FileSource } from "../../src/postgres/files/file_source.ts";
import { StreamSource } from "../../src/postgres/replication/stream_base_backup.ts";
import { SqlServer } from "../../src/postgres/sql_server.ts";
import { DirectoryStore } from "../../src/storage/directory.ts";
import { type Cluster, makeServerFolder } from "./postgres_cluster.ts";
import { removeTree } from "./remove_tree.ts";

/** Closes the server's connections and removes the folder when it is disposed. */
export class FilesRig implements AsyncDisposable {
  readonly folder: string;
  readonly parts: BackupParts;
  readonly #server: SqlServer;
  readonly #codecs: WorkerPool;

  constructor(
    cluster: Cluster,
    { folder, progress, threads }: {
      readonly folder: string;
      readonly progress: Progress;
      readonly threads: number;
    },
  ) {
    const connection = cluster.connection();
    const store = new DirectoryStore(`${folder}/repository`, { create: true });
    this.folder = folder;
    this.#server = new SqlServer(connection);
    this.#codecs = new WorkerPool(threads);
    this.parts = {
      store,
      connection,
      progress,
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

  static async open(
    cluster: Cluster,
    { progress = silentProgress, threads = 2 }: {
      readonly progress?: Progress;
      readonly threads?: number;
    } = {},
  ): Promise<FilesRig> {
    const folder = await makeServerFolder("backupctl-files-");
    return new FilesRig(cluster, { folder, progress, threads });
  }

  /** Takes a full backup by the `files` source, unless told otherwise. */
  async backup(options: Partial<FullBackupOptions> = {}) {
    return await new BackupEngine(this.parts).full({
      method: "physical",
      source: "files",
      codec: { algorithm: "zstd", level: 1 },
      fastCheckpoint: true,
      ...options,
    });
  }

  /** Restores into a folder of this name below the rig's. */
  async restore(id: string, name: string, options: Partial<RestoreOptions> = {}): Promise<string> {
    const backup = await this.parts.repository.backup(id);
    const destination = `${this.folder}/${name}`;
    await new RestoreEngine(this.parts).restore(backup, { destination, jobs: 2, ...options });
    return destination;
  }

  /** Every key of the repository. */
  async keys(): Promise<readonly string[]> {
    return (await Array.fromAsync(this.parts.store.list(""))).map(({ key }) => key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#codecs.close();
    await this.#server.close();
    await removeTree(this.folder);
  }
}
