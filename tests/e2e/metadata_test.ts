import assert from "node:assert/strict";
import fc from "fast-check";
import postgres from "postgres";
import type { BackupManifest } from "../../src/catalog/catalog.ts";
import { manifestKey } from "../../src/catalog/layout.ts";
import { MetadataManager } from "../../src/catalog/metadata_manager.ts";
import { openRepository } from "../../src/catalog/repository.ts";
import type { RunRecord } from "../../src/catalog/run_record.ts";
import { stableJson } from "../../src/catalog/stable_json.ts";
import { PostgresError, RepositoryError } from "../../src/domain/errors.ts";
import type { ConnectionOptions } from "../../src/postgres/postgres.ts";
import { SqlServer } from "../../src/postgres/sql_server.ts";
import { MemoryStore } from "../../src/storage/memory.ts";
import { manifests, sampleManifest, samplePhysical } from "../support/manifests.ts";
import { type Cluster, startCluster } from "../support/postgres_cluster.ts";
import { FULL_FAULTS } from "../support/wal_rig.ts";

const cluster = "main";
const utf8 = new TextEncoder();

async function withManager(
  connection: ConnectionOptions,
  work: (metadata: MetadataManager) => Promise<void>,
  options: { readonly schema?: string; readonly deadlineMs?: number } = {},
): Promise<void> {
  await using server = new SqlServer(connection);
  await work(new MetadataManager(server, { cluster, ...options }));
}

function sampleRun(changes: Partial<RunRecord> = {}): RunRecord {
  return {
    runId: crypto.randomUUID(),
    cluster,
    operation: "backup full",
    outcome: "succeeded",
    startedAt: "2026-11-23T02:24:15.120Z",
    finishedAt: "2026-11-23T02:25:03.004Z",
    durationSeconds: 47.884,
    backupId: "20261123T022415Z-L",
    rawBytes: 2 ** 52 + 1,
    storedBytes: 4621,
    error: null,
    host: "db1",
    toolVersion: "0.1.0",
    ...changes,
  };
}

type Step =
  | { readonly type: "backup"; readonly manifest: BackupManifest }
  | { readonly type: "prune"; readonly which: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: manifests(cluster).map((manifest) => ({ type: "backup", manifest } as const)),
    },
    { weight: 2, arbitrary: fc.nat(9).map((which) => ({ type: "prune", which } as const)) },
  ),
  { maxLength: 12 },
);

/** Does what backups and prunes do, to the repository and to the index. */
async function play(history: readonly Step[], store: MemoryStore, metadata: MetadataManager) {
  let kept: BackupManifest[] = [];
  for (const step of history) {
    if (step.type === "backup") {
      const { manifest } = step;
      if (kept.some(({ id }) => id === manifest.id)) continue;
      kept.push(manifest);
      await store.put(manifestKey(cluster, manifest), utf8.encode(stableJson(manifest)));
      await metadata.recordBackup(manifest);
      continue;
    }
    const gone = kept[step.which];
    if (!gone) continue;
    kept = kept.filter((manifest) => manifest !== gone);
    await store.delete([manifestKey(cluster, gone)]);
    await metadata.forgetBackups([gone.id]);
  }
}

async function tamper(server: Cluster, schema: string): Promise<void> {
  await server.query(`
    UPDATE ${schema}.backups SET label = 'forged', raw_bytes = 1, manifest = '{}' WHERE random() < 0.5;
    DELETE FROM ${schema}.backups WHERE random() < 0.3;
    INSERT INTO ${schema}.backups SELECT 'main', '1', 'ghost', 'logical', 'full', NULL, NULL, now(),
      now(), NULL, NULL, NULL, 150000, 0, 0, 0, NULL, '', '{}'`);
}

Deno.test("the index in PostgreSQL", async (t) => {
  await using server = await startCluster();
  const connection = server.connection();

  await t.step("prepare() creates the schema once, whatever its name", async () => {
    for (const schema of ["backupctl", `odd "name"; -- \\'$migrate0$`]) {
      await withManager(connection, async (metadata) => {
        await metadata.prepare();
        await metadata.prepare();
      }, { schema });
    }
    const [row] = await server.query(
      "SELECT count(*)::int AS n FROM pg_class WHERE relname IN ('backups', 'runs', 'schema_version')",
    );
    assert.equal(row?.["n"], 6);
  });

  await t.step("prepare() by many hosts at once migrates once", async () => {
    await server.query("DROP SCHEMA backupctl CASCADE");
    const hosts = Array.from({ length: 8 }, () => withManager(connection, (m) => m.prepare()));
    await Promise.all(hosts);
    const rows = await server.query("SELECT version FROM backupctl.schema_version");
    assert.deepEqual(rows.map(({ version }) => version), [1, 2]);
  });

  await t.step("rebuild() makes the index equal to what the runs had recorded", async () => {
    let schema = 0;
    await fc.assert(
      fc.asyncProperty(steps, async (history) => {
        schema += 1;
        const name = `h${schema}`;
        const store = new MemoryStore();
        const repository = openRepository(store, { cluster });
        await repository.prepare();
        await withManager(connection, async (metadata) => {
          await play(history, store, metadata);
          const original = await metadata.indexedBackups();
          const removed = (await metadata.removedBackups()).map(({ columns }) => columns["id"]);
          await metadata.rebuild(repository);
          const still = (await metadata.removedBackups()).map(({ columns }) => columns["id"]);
          assert.deepEqual(still, removed);
          await tamper(server, name);
          await metadata.rebuild(repository);
          assert.deepEqual(await metadata.indexedBackups(), original);
          await server.query(`DROP SCHEMA ${name} CASCADE`);
          await metadata.rebuild(repository);
          assert.deepEqual(await metadata.indexedBackups(), original);
        }, { schema: name });
      }),
      { numRuns: FULL_FAULTS ? 1000 : 15, endOnFailure: true },
    );
  });

  await t.step("rebuild() leaves the runs and other clusters' backups alone", async () => {
    const store = new MemoryStore();
    const repository = openRepository(store, { cluster });
    await repository.prepare();
    await withManager(connection, async (metadata) => {
      const other = sampleManifest({ cluster: "other" });
      await metadata.recordBackup(other);
      await metadata.recordBackup(sampleManifest());
      await metadata.recordRun(sampleRun());
      assert.equal(await metadata.rebuild(repository), 0);
      assert.equal((await metadata.indexedBackups()).length, 0);
      assert.equal((await metadata.recentRuns(10)).length, 1);
    });
    const rows = await server.query(
      "SELECT cluster FROM backupctl.backups WHERE removed_at IS NULL",
    );
    assert.deepEqual(rows.map(({ cluster }) => cluster), ["other"]);
    await server.query("TRUNCATE backupctl.backups, backupctl.runs");
  });

  await t.step(
    "recordRun() keeps every field, hostile ones too, and counts a run once",
    async () => {
      await withManager(connection, async (metadata) => {
        const failed = sampleRun({
          outcome: "failed",
          finishedAt: "2026-11-23T03:25:03.004Z",
          backupId: null,
          rawBytes: null,
          storedBytes: null,
          error: { code: "POSTGRES_REFUSED", message: `it's \\ "bad"; $1 -- ☃\n`, hint: null },
          host: null,
        });
        const first = sampleRun();
        await metadata.recordRun(first);
        await metadata.recordRun(failed);
        await metadata.recordRun({ ...failed, outcome: "succeeded" });
        assert.deepEqual(await metadata.recentRuns(10), [failed, first]);
        assert.deepEqual(await metadata.recentRuns(1), [failed]);
        const unstorable = sampleRun({
          finishedAt: "2026-11-23T04:25:03.004Z",
          error: { code: "X", message: "a\0b\ud800", hint: null },
        });
        await metadata.recordRun(unstorable);
        const [stored] = await metadata.recentRuns(1);
        assert.equal(stored?.error?.message, "a\u{FFFD}b\u{FFFD}");
      });
    },
  );

  await t.step("export() has the backups and the runs", async () => {
    await withManager(connection, async (metadata) => {
      await metadata.recordBackup(samplePhysical());
      const { objects: _, ...rest } = samplePhysical();
      const all = await metadata.export();
      assert.equal(all.schema, "backupctl.catalog/1");
      assert.equal(all.runs.length, 3);
      assert.deepEqual(all.backups.map(({ manifest }) => manifest), [rest]);
      assert.equal(all.backups[0]?.objects, 2);
      assert.equal(all.backups[0]?.columns["start_lsn"], "0/9A000028");
    });
  });

  await t.step("a schema that was dropped under it is made anew", async () => {
    await withManager(connection, async (metadata) => {
      await metadata.recordRun(sampleRun());
      await server.query("DROP SCHEMA backupctl CASCADE");
      await metadata.recordRun(sampleRun());
      assert.equal((await metadata.recentRuns(10)).length, 1);
    });
  });

  await t.step("a newer schema is refused politely", async () => {
    await server.query("INSERT INTO backupctl.schema_version VALUES (99)");
    await withManager(connection, async (metadata) => {
      await assert.rejects(metadata.recordRun(sampleRun()), (error) => {
        assert.ok(error instanceof RepositoryError);
        assert.match(error.hint!, /^upgrade backupctl/);
        return true;
      });
    });
    await server.query("DELETE FROM backupctl.schema_version WHERE version = 99");
  });

  await t.step("a locked table delays nobody beyond the deadline", async () => {
    const { host, port, user, database } = connection;
    const blocker = postgres({ host, port, user, database, max: 1 });
    await using client = new SqlServer(connection);
    const metadata = new MetadataManager(client, { cluster, deadlineMs: 3_000 });
    await metadata.prepare();
    await blocker.unsafe("BEGIN; LOCK TABLE backupctl.runs; LOCK TABLE backupctl.backups");
    const begun = performance.now();
    await assert.rejects(metadata.recordRun(sampleRun()), PostgresError);
    await assert.rejects(metadata.recordBackup(sampleManifest()), PostgresError);
    assert.ok(performance.now() - begun < 2 * 3_000 + 10_000);
    const waiting = await server.query(
      "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%.runs%'",
    );
    assert.equal(waiting.length, 0, "the server gave up, too");
    await blocker.end();
  });

  await t.step("a server that takes the connection and never answers delays nobody", async () => {
    using deaf = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = deaf.addr as Deno.NetAddr;
    const accepted = deaf.accept();
    const server = new SqlServer({ ...connection, port, connectTimeout: 60 });
    const metadata = new MetadataManager(server, { cluster, deadlineMs: 300 });
    const begun = performance.now();
    await assert.rejects(metadata.recordRun(sampleRun()), /did not answer within 300 ms/);
    assert.ok(performance.now() - begun < 20_000);
    (await accepted).close();
    await server.close();
  });

  await t.step("a role without any right is told what an administrator has to run", async () => {
    await server.query("CREATE ROLE clerk LOGIN");
    await server.query("CREATE DATABASE offices");
    await server.query(
      "REVOKE ALL ON DATABASE offices FROM PUBLIC; GRANT CONNECT ON DATABASE offices TO clerk",
    );
    const clerk = server.connection({ user: "clerk", database: "offices" });
    await withManager(clerk, async (metadata) => {
      await assert.rejects(metadata.recordRun(sampleRun()), (error) => {
        assert.ok(error instanceof PostgresError);
        assert.match(error.message, /may not create schema "backupctl"/);
        assert.match(error.hint!, /CREATE SCHEMA "backupctl" AUTHORIZATION/);
        return true;
      });
    });
  });

  await t.step("a role that owns its schema and nothing else can do everything", async () => {
    await server.query("CREATE SCHEMA backupctl AUTHORIZATION clerk", { database: "offices" });
    const clerk = server.connection({ user: "clerk", database: "offices" });
    const store = new MemoryStore();
    const repository = openRepository(store, { cluster });
    await repository.prepare();
    await withManager(clerk, async (metadata) => {
      await metadata.recordRun(sampleRun());
      await metadata.recordBackup(sampleManifest());
      await metadata.forgetBackups([sampleManifest().id]);
      await metadata.rebuild(repository);
      assert.equal((await metadata.export()).runs.length, 1);
    });
  });

  await t.step("a role whose schema is another's is told which rights it lacks", async () => {
    await server.query("CREATE ROLE other LOGIN; GRANT CONNECT ON DATABASE offices TO other");
    const other = server.connection({ user: "other", database: "offices" });
    let hint = "";
    await withManager(other, async (metadata) => {
      await assert.rejects(metadata.recordRun(sampleRun()), (error) => {
        assert.ok(error instanceof PostgresError);
        assert.match(error.message, /permission denied/);
        hint = error.hint!;
        return true;
      });
    });
    const remedy = hint.slice(hint.indexOf("GRANT")).replaceAll("<the role>", "other");
    await server.query(remedy, { database: "offices" });
    await withManager(other, (metadata) => metadata.recordRun(sampleRun()));
  });
});
