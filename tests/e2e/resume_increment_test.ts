import assert from "node:assert/strict";
import { openRepository } from "../../src/catalog/repository.ts";
import { BackupEngine } from "../../src/engine/backup_engine.ts";
import type { ObjectStore } from "../../src/storage/storage.ts";
import { IncrementWorld } from "../support/increment_world.ts";
import { startCluster } from "../support/postgres_cluster.ts";
import { assertStamps, makeStamps, StampLoad } from "../support/stamped_rows.ts";

/** As the store of a run that is killed before its last objects: nothing is removed, either. */
function dyingStore(store: ObjectStore): ObjectStore {
  return {
    location: store.location,
    put: (key, body, options) =>
      /backup_manifest/.test(key)
        ? Promise.reject(new Error("killed"))
        : store.put(key, body, options),
    get: (key, options) => store.get(key, options),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: () => Promise.reject(new Error("killed")),
    copy: (from, to, options) => store.copy!(from, to, options),
  };
}

Deno.test("an increment that was cut off is gone on with by the next one, and its chain is whole", async () => {
  await using cluster = await startCluster({ settings: { autovacuum: "off" } });
  await makeStamps(cluster);
  await using world = await IncrementWorld.open(cluster, { source: "files" });
  const load = new StampLoad(cluster);
  await world.full();
  for (let n = 1; n <= 3; n++) await load.write();
  const store = dyingStore(world.parts.store);
  const parts = { ...world.parts, store, repository: openRepository(store, { cluster: "main" }) };
  const engine = new BackupEngine(parts);
  const on = await engine.parent({ maxChain: 10, source: "files" });
  assert.ok("parent" in on);
  const options = { codec: { algorithm: "zstd", level: 1 }, fastCheckpoint: true } as const;
  await assert.rejects(engine.incremental({ on, source: "files", ...options }), /killed/);
  await load.write();
  const { manifest, because } = await world.increment();
  assert.equal(because, undefined);
  assert.equal(manifest.kind, "incremental");
  assert.ok(manifest.takenOver && manifest.takenOver.objects > 0);
  const { destination } = await world.restore(manifest);
  await world.run("pg_verifybackup", ["-n", destination]);
  const copy = await cluster.startFrom(destination);
  await assertStamps(copy, { least: load.last, most: load.last, what: "the chain" });
});
