import assert from "node:assert/strict";
import { openRepository } from "../../src/catalog/repository.ts";
import { WorkerPool } from "../../src/codec/worker_pool.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { type Progress, silentProgress } from "../../src/domain/progress.ts";
import { BackupEngine } from "../../src/engine/backup_engine.ts";
import type { BackupParts, RestoreOptions } from "../../src/engine/parts.ts";
import { RestoreEngine } from "../../src/engine/restore_engine.ts";
import { StreamSource } from "../../src/postgres/replication/stream_base_backup.ts";
import { SqlServer } from "../../src/postgres/sql_server.ts";
import { DirectoryStore } from "../../src/storage/directory.ts";
import { fileTree } from "../support/file_tree.ts";
import {
  type Cluster,
  clusterMajors,
  giveToServer,
  makeServerFolder,
  startCluster,
} from "../support/postgres_cluster.ts";
import { addDocuments, startShop, tableStates, writeMore } from "../support/shop_cluster.ts";

/** Waits, ten seconds at most, until the server has noticed that the client is gone. */
const NO_WALSENDER = `do $$ begin
  for turn in 1..1000 loop
    perform pg_stat_clear_snapshot();
    exit when not exists (select from pg_stat_replication);
    perform pg_sleep(0.01);
  end loop;
end $$`;

/** A cluster, a repository in a folder, and what the engines need to go between them. */
class Rig implements AsyncDisposable {
  readonly folder: string;
  readonly parts: BackupParts;
  readonly #server: SqlServer;
  readonly #codecs = new WorkerPool();

  constructor(cluster: Cluster, folder: string, progress: Progress) {
    const connection = cluster.connection();
    const store = new DirectoryStore(`${folder}/repository`, { create: true });
    this.folder = folder;
    this.#server = new SqlServer(connection);
    this.parts = {
      store,
      connection,
      progress,
      repository: openRepository(store, { cluster: "main" }),
      codecs: this.#codecs,
      server: this.#server,
      baseBackups: new StreamSource(connection),
      programs: {} as BackupParts["programs"],
      clock: systemClock,
      toolVersion: "0.0.0",
      host: "test",
    };
  }

  static async open(cluster: Cluster, progress: Progress = silentProgress): Promise<Rig> {
    return new Rig(cluster, await makeServerFolder("backupctl-physical-"), progress);
  }

  async backup(signal?: AbortSignal) {
    return await new BackupEngine(this.parts).full({
      method: "physical",
      codec: { algorithm: "zstd", level: 1 },
      fastCheckpoint: true,
      ...(signal && { signal }),
    });
  }

  async restore(id: string, options: Partial<RestoreOptions> = {}) {
    const backup = await this.parts.repository.backup(id);
    const destination = `${this.folder}/restored`;
    return await new RestoreEngine(this.parts).restore(backup, {
      destination,
      jobs: 2,
      ...options,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#codecs.close();
    await this.#server.close();
    await Deno.remove(this.folder, { recursive: true });
  }
}

for (const { major, binDir } of clusterMajors()) {
  Deno.test(`a physical backup of PostgreSQL ${major} with two tablespaces restores elsewhere, verifies and starts`, async () => {
    await using cluster = await startShop({ megabytes: 20, binDir, tablespaces: ["fast", "big"] });
    await cluster.query("alter table documents set tablespace fast", { database: "shop" });
    await cluster.query("alter index orders_pkey set tablespace big", { database: "shop" });
    await using rig = await Rig.open(cluster);
    const before = await tableStates(cluster);
    const { id, tablespaces } = await rig.backup();
    assert.equal(tablespaces.length, 2);
    await writeMore(cluster);
    const map = tablespaces.map(({ oid, location }) => [location, `${rig.folder}/${oid}`] as const);
    const { destination } = await rig.restore(id, { tablespaceMap: new Map(map) });
    await cluster.run("pg_verifybackup", ["-n", destination]);
    const tree = await fileTree(destination);
    for (const { oid } of tablespaces) {
      assert.equal(tree.get(`pg_tblspc/${oid}`), `→ ${rig.folder}/${oid}`);
    }
    const restored = await cluster.startFrom(destination);
    assert.deepEqual(await tableStates(restored), before);
    const places = await restored.query(
      "select pg_tablespace_location(oid) as place from pg_tablespace where oid >= 16384 order by 1",
    );
    assert.deepEqual(places.map(({ place }) => place), map.map(([, to]) => to).sort());
  });
}

Deno.test("a physical backup under load starts consistent, and its tree passes amcheck", async () => {
  await using cluster = await startShop({ megabytes: 30 });
  await using rig = await Rig.open(cluster);
  let done = false;
  const load = (async () => {
    for (let round = 1; !done; round++) {
      await addDocuments(cluster, { bytes: 5e5, seed: round, firstId: round * 1_000_000_000 });
      await cluster.query("update orders set total = total + 1 where id % 7 = 0", {
        database: "shop",
      });
    }
  })();
  const { id } = await rig.backup().finally(() => done = true);
  await load;
  const { destination } = await rig.restore(id);
  await cluster.run("pg_verifybackup", ["-n", destination]);
  const restored = await cluster.startFrom(destination);
  await restored.query("create extension amcheck", { database: "shop" });
  await restored.run("pg_amcheck", ["--heapallindexed", "shop"]);
  assert.equal((await tableStates(restored)).length, 4);
});

Deno.test("a physical backup is opened by zstd and tar alone", async () => {
  await using cluster = await startCluster();
  await using rig = await Rig.open(cluster);
  const backup = await rig.backup();
  const folder = `${rig.folder}/repository/${rig.parts.repository.folder(backup)}`;
  const byHand = `${rig.folder}/by-hand`;
  await Deno.mkdir(byHand);
  for (const { key } of backup.objects) {
    const command = key.startsWith("backup_manifest")
      ? 'zstd -dc "$0" > "$1/backup_manifest"'
      : 'zstd -dc "$0" | tar -x -f - -C "$1"';
    const { success } = await new Deno.Command("sh", {
      args: ["-c", command, `${folder}${key}`, byHand],
    }).output();
    assert.ok(success, key);
  }
  await giveToServer(byHand);
  await cluster.run("pg_verifybackup", ["-n", byHand]);
  const { destination } = await rig.restore(backup.id);
  const autoConf = await Deno.readTextFile(`${byHand}/postgresql.auto.conf`);
  assert.equal(
    await Deno.readTextFile(`${destination}/postgresql.auto.conf`),
    `${autoConf}# Written by backupctl restore:\narchive_mode = 'off'\n`,
  );
  const files = (tree: Map<string, string>) =>
    [...tree].filter(([path, text]) => text.startsWith("file") && path !== "postgresql.auto.conf")
      .map(([path, text]) => `${path} ${text.split(" ").slice(2).join(" ")}`);
  assert.deepEqual(files(await fileTree(byHand)), files(await fileTree(destination)));
});

Deno.test("a physical backup that is aborted leaves nothing in the repository or on the server", async () => {
  await using cluster = await startShop({ megabytes: 60 });
  const stop = new AbortController();
  const reason = new Error("stop");
  let copied = 0;
  const advance = (bytes: number) => {
    copied += bytes;
    if (copied > 30e6) stop.abort(reason);
  };
  await using rig = await Rig.open(cluster, { ...silentProgress, advance });
  await assert.rejects(rig.backup(stop.signal), (error) => error === reason);
  const keys = (await Array.fromAsync(rig.parts.store.list(""))).map(({ key }) => key);
  assert.deepEqual(keys, ["main/repository.json"]);
  assert.deepEqual(await rig.parts.repository.backups(), []);
  await cluster.query(NO_WALSENDER);
  assert.deepEqual(await cluster.query("select 1 from pg_stat_replication"), []);
  assert.deepEqual(await cluster.query("select 1 from pg_replication_slots"), []);
});
