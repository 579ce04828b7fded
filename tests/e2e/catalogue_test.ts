/** The index in PostgreSQL: what it keeps beside the backups, and how it grows up. */
import assert from "node:assert/strict";
import type { AuditEvent } from "../../src/catalog/audit_event.ts";
import { manifestKey } from "../../src/catalog/layout.ts";
import { MetadataManager } from "../../src/catalog/metadata_manager.ts";
import { openRepository } from "../../src/catalog/repository.ts";
import { RunJournal } from "../../src/catalog/run_journal.ts";
import { stableJson } from "../../src/catalog/stable_json.ts";
import type { StorageSample } from "../../src/catalog/storage_sample.ts";
import { PostgresError } from "../../src/domain/errors.ts";
import type { ConnectionOptions } from "../../src/postgres/postgres.ts";
import { SqlServer } from "../../src/postgres/sql_server.ts";
import { MemoryStore } from "../../src/storage/memory.ts";
import { sampleManifest, samplePhysical } from "../support/manifests.ts";
import { PROJECT_ROOT } from "../support/paths.ts";
import { startCluster } from "../support/postgres_cluster.ts";

const cluster = "main";

async function withManager<T>(
  connection: ConnectionOptions,
  work: (metadata: MetadataManager) => Promise<T>,
  options: { readonly schema?: string; readonly deadlineMs?: number } = {},
): Promise<T> {
  await using server = new SqlServer(connection);
  return await work(new MetadataManager(server, { cluster, ...options }));
}

function sampleEvent(changes: Partial<AuditEvent> = {}): AuditEvent {
  return {
    eventId: crypto.randomUUID(),
    cluster,
    at: "2026-11-23T02:25:03.004Z",
    operation: "prune",
    command: "backupctl prune --policy weekly-retain=4",
    outcome: "succeeded",
    exitStatus: 0,
    errorCode: null,
    osUser: "postgres",
    pgRole: "backup",
    host: "db1",
    toolVersion: "0.1.0",
    ...changes,
  };
}

function sampleStorage(at: Date, storedBytes = 700): StorageSample {
  const uses = [
    { kind: "physical", count: 2, rawBytes: 2 ** 52 + 1, storedBytes },
    { kind: "unfinished", count: 1, rawBytes: null, storedBytes: 1 },
  ];
  return { cluster, at: at.toISOString(), uses };
}

Deno.test("the index in PostgreSQL beside the backups", async (t) => {
  await using server = await startCluster();
  const connection = server.connection();
  const golden = await Deno.readTextFile(`${PROJECT_ROOT}tests/golden/catalog-v1.sql`);

  await t.step("figures() looks and creates nothing", async () => {
    assert.equal(await withManager(connection, (m) => m.figures()), undefined);
    const found = await server.query("SELECT FROM pg_namespace WHERE nspname = 'backupctl'");
    assert.equal(found.length, 0);
  });

  await t.step("figures() does not touch an index of an older version", async () => {
    await server.query(golden);
    assert.equal(await withManager(connection, (m) => m.figures()), undefined);
    const versions = await server.query("SELECT version FROM backupctl.schema_version");
    assert.deepEqual(versions.map(({ version }) => version), [1]);
  });

  await t.step("an index of version 1 is taken over with everything in it", async () => {
    const before = await server.query(`SELECT to_jsonb(b) AS row FROM backupctl.backups AS b
      ORDER BY cluster`);
    await withManager(connection, async (metadata) => {
      const runs = await metadata.recentRuns(10);
      assert.deepEqual(runs.map(({ outcome }) => outcome), ["failed", "succeeded"]);
      assert.equal(runs[0]?.error?.message, "it's not empty ☃");
      assert.equal(runs[1]?.rawBytes, 4503599627370497);
      const [backup, ...more] = await metadata.indexedBackups();
      assert.deepEqual([backup?.columns["id"], more.length], ["20261122T020000Z-F", 0]);
      assert.deepEqual(await metadata.recentAudit(10), []);
      const figures = await metadata.figures();
      assert.deepEqual(figures?.all, { succeeded: 1, failed: 1, interrupted: 0 });
      assert.equal(figures?.last?.operation, "restore");
    });
    const after = await server.query(`SELECT to_jsonb(b) - 'removed_at' - 'seen_at' AS row
      FROM backupctl.backups AS b ORDER BY cluster`);
    assert.deepEqual(after, before);
    const versions = await server.query("SELECT version FROM backupctl.schema_version");
    assert.deepEqual(versions.map(({ version }) => version), [1, 2]);
  });

  await t.step("recordAudit() keeps every field, hostile ones too, and counts once", async () => {
    await withManager(connection, async (metadata) => {
      const first = sampleEvent();
      const second = sampleEvent({
        at: "2026-11-23T03:25:03.004Z",
        command: `backupctl restore --destination 'it''s \\ "odd"; $1 -- ☃\n'`,
        outcome: "failed",
        exitStatus: 9,
        errorCode: "DESTINATION",
        osUser: null,
        pgRole: null,
        host: null,
      });
      for (const event of [first, second, { ...second, outcome: "succeeded" as const }]) {
        await metadata.recordAudit(event);
      }
      assert.deepEqual(await metadata.recentAudit(10), [second, first]);
      assert.deepEqual(await metadata.recentAudit(1), [second]);
    });
    const [row] = await server.query("SELECT recorded_by FROM backupctl.audit LIMIT 1");
    assert.equal(row?.["recorded_by"], "postgres");
  });

  await t.step("storageHistory() has the last sample of each day", async () => {
    const day = (days: number, hour: number) => {
      const now = new Date();
      return new Date(
        Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() - days, hour),
      );
    };
    await withManager(connection, async (metadata) => {
      await metadata.recordStorage(sampleStorage(day(3, 4), 100));
      await metadata.recordStorage(sampleStorage(day(3, 9), 200));
      await metadata.recordStorage(sampleStorage(day(3, 9), 999));
      await metadata.recordStorage(sampleStorage(day(2, 1), 300));
      await metadata.recordStorage(sampleStorage(day(500, 1), 50));
      await metadata.recordStorage({ cluster, at: day(1, 1).toISOString(), uses: [] });
      const expected = [sampleStorage(day(3, 9), 200), sampleStorage(day(2, 1), 300)];
      assert.deepEqual(await metadata.storageHistory(), expected);
      assert.deepEqual((await metadata.figures())?.storage, expected);
    });
  });

  await t.step("a backup that is gone is marked, and one that comes back is not", async () => {
    const store = new MemoryStore();
    const repository = openRepository(store, { cluster });
    await repository.prepare();
    const write = (manifest: ReturnType<typeof sampleManifest>) =>
      store.put(manifestKey(cluster, manifest), new TextEncoder().encode(stableJson(manifest)));
    await write(sampleManifest());
    await withManager(connection, async (metadata) => {
      await metadata.recordBackup(sampleManifest());
      await metadata.recordBackup(samplePhysical());
      await metadata.forgetBackups([sampleManifest().id]);
      const ids = async () => {
        const [there, gone] = [await metadata.indexedBackups(), await metadata.removedBackups()];
        return [there, gone].map((all) => all.map(({ columns }) => columns["id"]));
      };
      assert.deepEqual(await ids(), [[samplePhysical().id], [sampleManifest().id]]);
      const [before] = await metadata.removedBackups();
      await metadata.forgetBackups([sampleManifest().id]);
      assert.deepEqual(await metadata.removedBackups(), [before], "since when stays");
      assert.equal(await metadata.rebuild(repository), 1);
      assert.deepEqual(await ids(), [[sampleManifest().id], [samplePhysical().id]]);
      assert.equal((await metadata.recentRuns(10)).length, 2, "runs are kept");
      assert.equal((await metadata.recentAudit(10)).length, 2, "the audit trail is kept");
      const all = await metadata.export();
      assert.deepEqual([all.removed.length, all.audit.length, all.storage.length], [1, 2, 2]);
    });
  });

  await t.step(
    "a backup that is recorded while others are listed is not taken for gone",
    async () => {
      const repository = openRepository(new MemoryStore(), { cluster });
      await repository.prepare();
      await withManager(connection, async (metadata) => {
        const slow = {
          ...repository,
          async backups() {
            const none = await repository.backups();
            await metadata.recordBackup(samplePhysical({ id: "20261124T000000Z-F" }));
            return none;
          },
        } as typeof repository;
        assert.equal(await metadata.rebuild(slow), 0);
        const there = await metadata.indexedBackups();
        assert.deepEqual(there.map(({ columns }) => columns["id"]), ["20261124T000000Z-F"]);
        assert.equal(await metadata.rebuild(repository), 0);
        assert.deepEqual(await metadata.indexedBackups(), []);
      });
    },
  );

  await t.step("a role that owns its schema and nothing else takes version 1 over", async () => {
    await server.query("CREATE ROLE clerk LOGIN");
    await server.query("CREATE DATABASE offices");
    await server.query(
      "REVOKE ALL ON DATABASE offices FROM PUBLIC; GRANT CONNECT ON DATABASE offices TO clerk",
    );
    await server.query(
      "REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE SCHEMA backupctl AUTHORIZATION clerk",
      { database: "offices" },
    );
    await server.query(`SET ROLE clerk; ${golden}`, { database: "offices" });
    const clerk = server.connection({ user: "clerk", database: "offices" });
    const store = new MemoryStore();
    const repository = openRepository(store, { cluster });
    await repository.prepare();
    await withManager(clerk, async (metadata) => {
      await metadata.recordAudit(sampleEvent());
      await metadata.recordStorage(sampleStorage(new Date()));
      await metadata.recordBackup(sampleManifest());
      await metadata.forgetBackups([sampleManifest().id]);
      await metadata.rebuild(repository);
      assert.equal((await metadata.export()).runs.length, 2);
      assert.equal((await metadata.figures())?.all.failed, 1);
    });
    const refused = await Array.fromAsync(
      ["CREATE SCHEMA other", "CREATE TABLE public.t ()"],
      (sql) =>
        server.query(`SET ROLE clerk; ${sql}`, { database: "offices" }).then(
          () => "allowed",
          (error) => String(error.code),
        ),
    );
    assert.deepEqual(refused, ["42501", "42501"]);
  });

  await t.step("a role that may only look is told what is missing", async () => {
    await server.query("CREATE ROLE guest LOGIN", { database: "offices" });
    await server.query("GRANT CONNECT ON DATABASE offices TO guest");
    const guest = server.connection({ user: "guest", database: "offices" });
    await withManager(guest, async (metadata) => {
      await assert.rejects(metadata.recordAudit(sampleEvent()), PostgresError);
      await assert.rejects(metadata.figures(), PostgresError);
    });
  });

  await t.step("what happened during an outage is delivered once the server is back", async () => {
    const folder = await Deno.makeTempDir();
    const journal = new RunJournal(folder);
    const event = sampleEvent({ at: "2026-11-24T00:00:00.000Z", operation: "backup full" });
    const sample = sampleStorage(new Date());
    await server.stop("fast");
    await withManager(connection, async (metadata) => {
      const kept = await journal.recordEntry({ type: "audit", event }, metadata);
      assert.equal(kept.recorded, false);
      assert.equal(
        (await journal.recordEntry({ type: "storage", sample }, metadata)).recorded,
        false,
      );
    });
    await server.start();
    await withManager(server.connection(), async (metadata) => {
      assert.deepEqual(await journal.reconcile(metadata), { delivered: 2, unreadable: 0 });
      assert.deepEqual(await metadata.recentAudit(1), [event]);
      assert.deepEqual((await metadata.storageHistory()).at(-1), sample);
    });
    await Deno.remove(folder, { recursive: true });
  });
});
