import assert from "node:assert/strict";
import { openRepository } from "../../../../../src/catalog/repository.ts";
import { WorkerPool } from "../../../../../src/codec/worker_pool.ts";
import { systemClock } from "../../../../../src/domain/clock.ts";
import { PostgresError } from "../../../../../src/domain/errors.ts";
import { silentProgress } from "../../../../../src/domain/progress.ts";
import { BackupEngine } from "../../../../../src/engine/backup_engine.ts";
import type { BackupParts } from "../../../../../src/engine/parts.ts";
import { serverIncrements } from "../../../../../src/engine/physical/incremental/server_increments.ts";
import {
  type BaseBackupOptions,
  type BaseBackupSource,
  IncrementRefusedError,
} from "../../../../../src/postgres/postgres.ts";
import { MemoryStore } from "../../../../../src/storage/memory.ts";
import { checkedManifest } from "../../../../support/fake_chains.ts";
import { CONTROL_MEMBER, CORE_MEMBERS, FakeSource } from "../../../../support/fake_base_backup.ts";

const MEMBERS = [...CORE_MEMBERS, CONTROL_MEMBER];
const ZSTD = { algorithm: "zstd", level: 1 } as const;

/** An engine over a server that sends the same files each time, and does `act` before. */
function world(codecs: WorkerPool, act: (options: BaseBackupOptions) => Promise<void>) {
  const store = new MemoryStore();
  const repository = openRepository(store, { cluster: "main" });
  const fake = new FakeSource({
    archives: [{ members: MEMBERS }],
    manifest: checkedManifest(MEMBERS),
  });
  const baseBackups: BaseBackupSource = {
    async start(options) {
      await act(options);
      return await fake.start();
    },
  };
  const identity = {
    ...{ systemIdentifier: "7345678901234567890", version: 170_006, versionText: "17.6" },
    ...{ timeline: 1, walSegmentBytes: 16 * 1024 * 1024, dataChecksums: true, inRecovery: false },
  };
  const settings = new Map([
    ["summarize_wal", "on"],
    ["block_size", "8192"],
    ["segment_size", "131072"],
  ]);
  const parts = {
    ...{ store, repository, codecs, baseBackups, clock: systemClock, progress: silentProgress },
    server: {
      identity: () => Promise.resolve(identity),
      databases: () => Promise.resolve([]),
      settings: () => Promise.resolve(settings),
    },
    ...{ toolVersion: "0.0.0", host: "test" },
  } as unknown as BackupParts;
  return { store, repository, engine: new BackupEngine(parts), settings };
}

/** Takes a full backup and what an increment on it would stand on. */
async function chosen({ engine }: ReturnType<typeof world>) {
  const full = await engine.full({ method: "physical", codec: ZSTD });
  const on = await engine.parent({ maxChain: 6 });
  assert.ok("parent" in on);
  assert.deepEqual([on.parent.id, on.source], [full.id, serverIncrements]);
  return on;
}

Deno.test("BackupEngine.incremental() hands the parent's list over and commits an increment", async () => {
  using codecs = new WorkerPool(1);
  const lists: string[] = [];
  const place = world(codecs, async ({ parentManifest }) => {
    if (parentManifest) lists.push(await new Response(ReadableStream.from(parentManifest)).text());
  });
  const on = await chosen(place);
  const { manifest, because } = await place.engine.incremental({ on, codec: ZSTD });
  assert.deepEqual([manifest.kind, manifest.parentId, because], [
    "incremental",
    on.parent.id,
    undefined,
  ]);
  assert.deepEqual(lists, [checkedManifest(MEMBERS)]);
  assert.deepEqual(await place.repository.backup(manifest.id), manifest);
});

Deno.test("BackupEngine.incremental() takes a full backup when the server refuses an increment", async () => {
  using codecs = new WorkerPool(1);
  const place = world(codecs, ({ parentManifest }) => {
    if (parentManifest) throw new IncrementRefusedError("the summaries are gone");
    return Promise.resolve();
  });
  const on = await chosen(place);
  const { manifest, because } = await place.engine.incremental({ on, codec: ZSTD });
  assert.deepEqual([manifest.kind, manifest.parentId], ["full", null]);
  assert.equal(because, "the summaries are gone");
  const ids = new Set<string>();
  for await (const { key } of place.store.list("main/")) ids.add(key.split("/")[3] ?? "");
  assert.deepEqual([...ids].filter((id) => id.includes("-I")), []);
});

Deno.test("BackupEngine.incremental() takes a full backup of a server that was promoted meanwhile", async () => {
  using codecs = new WorkerPool(1);
  const place = world(codecs, () => Promise.resolve());
  const on = await chosen(place);
  const parent = { ...on.parent, timeline: 2 };
  const { manifest, because } = await place.engine.incremental({
    on: { ...on, parent },
    codec: ZSTD,
  });
  assert.equal(manifest.kind, "full");
  assert.match(because!, /promoted to timeline 1/);
});

Deno.test("BackupEngine.incremental() fails with what fails an ordinary backup", async () => {
  using codecs = new WorkerPool(1);
  const place = world(codecs, ({ parentManifest }) => {
    if (parentManifest) throw new PostgresError("no walsender is free");
    return Promise.resolve();
  });
  const on = await chosen(place);
  await assert.rejects(place.engine.incremental({ on, codec: ZSTD }), /no walsender is free/);
  assert.equal((await place.repository.backups()).length, 1);
});

Deno.test("BackupEngine.parent() says why a server sends no increments", async () => {
  using codecs = new WorkerPool(1);
  const place = world(codecs, () => Promise.resolve());
  await chosen(place);
  const cases = [["summarize_wal", "off", /summarize_wal is off/], [
    "block_size",
    "16384",
    /other pages/,
  ]] as const;
  for (const [name, value, reason] of cases) {
    const before = place.settings.get(name)!;
    place.settings.set(name, value);
    const choice = await place.engine.parent({ maxChain: 6, source: "stream" });
    assert.ok("because" in choice);
    assert.match(choice.because, reason);
    place.settings.set(name, before);
  }
});
