import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { BackupManifest } from "../../../../src/catalog/catalog.ts";
import { openRepository } from "../../../../src/catalog/repository.ts";
import { StorageError } from "../../../../src/domain/errors.ts";
import { silentProgress } from "../../../../src/domain/progress.ts";
import { chainOf, dependents } from "../../../../src/engine/verify/dependents.ts";
import {
  verifyBackups,
  type VerifyBackupsOptions,
} from "../../../../src/engine/verify/verify_backups.ts";
import { MemoryStore } from "../../../../src/storage/memory.ts";
import type { ObjectStore } from "../../../../src/storage/storage.ts";
import { samplePhysical } from "../../../support/manifests.ts";
import { overriding } from "../../../support/physical_world.ts";

const [FULL, FIRST, SECOND, OTHER] = [
  "20261101T000000Z-F",
  "20261102T000000Z-I",
  "20261103T000000Z-I",
  "20261104T000000Z-F",
] as const;

/** A full backup with two increments on top of each other, and another full one. */
async function world() {
  const store = new MemoryStore();
  const repository = openRepository(store, { cluster: "main" });
  await repository.prepare();
  const backups: BackupManifest[] = [];
  const parents = [[FULL, null], [FIRST, FULL], [SECOND, FIRST], [OTHER, null]] as const;
  for (const [id, parentId] of parents) {
    const contents = [`${id} one`, `${id} two, longer`, ""].map((text) =>
      new TextEncoder().encode(text)
    );
    const objects = contents.map((bytes, index) => ({
      key: `chunks/000${index}.tar.zst`,
      role: "chunk" as const,
      rawBytes: 10,
      storedBytes: bytes.length,
      sha256: createHash("sha256").update(bytes).digest("hex"),
    }));
    const kind = parentId === null ? "full" : "incremental";
    const backup = samplePhysical({ id, parentId, kind, objects });
    for (const [index, { key }] of objects.entries()) {
      await store.put(repository.folder(backup) + key, contents[index]!);
    }
    await repository.commit(backup);
    backups.push(backup);
  }
  const parts = { store: store as ObjectStore, repository, progress: silentProgress };
  const verify = (options: Partial<VerifyBackupsOptions> = {}, more: Partial<typeof parts> = {}) =>
    verifyBackups({ ...parts, ...more }, { targets: backups, backups, ...options });
  const key = (index: number, object: number) =>
    repository.folder(backups[index]!) + backups[index]!.objects[object]!.key;
  return { store, repository, backups, verify, key };
}

async function faults(found: ReturnType<Awaited<ReturnType<typeof world>>["verify"]>) {
  return (await found).flatMap((one) => one.faults).map(({ key, reason, lost }) => ({
    key: key.split("/").slice(-3).join("/"),
    reason: reason.replace(/[0-9a-f]{64}/g, "…"),
    lost,
  }));
}

Deno.test("verifyBackups() reads everything and finds nothing", async () => {
  const { verify, backups } = await world();
  const found = await verify();
  assert.deepEqual(
    found.map(({ objects, faults }) => [objects, faults]),
    [3, 3, 3, 3].map(
      (count) => [count, []],
    ),
  );
  assert.equal(found[0]!.storedBytes, backups[0]!.storedBytes);
});

Deno.test("verifyBackups() names what is damaged, cut, longer or missing, and what is lost with it", async () => {
  const { store, verify, key } = await world();
  await store.put(key(0, 0), new TextEncoder().encode(`${FULL} onE`));
  await store.put(key(1, 1), new TextEncoder().encode("cut"));
  await store.delete([key(2, 0)]);
  await store.put(key(3, 2), new Uint8Array(9));
  assert.deepEqual(await faults(verify()), [
    {
      key: `${FULL}/chunks/0000.tar.zst`,
      reason: "has SHA-256 …, … was stored",
      lost: [FULL, FIRST, SECOND],
    },
    {
      key: `${FIRST}/chunks/0001.tar.zst`,
      reason: "has 3 bytes, 30 were stored",
      lost: [FIRST, SECOND],
    },
    { key: `${SECOND}/chunks/0000.tar.zst`, reason: "is missing", lost: [SECOND] },
    {
      key: `${OTHER}/chunks/0002.tar.zst`,
      reason: "has 9 bytes, 0 were stored",
      lost: [OTHER],
    },
  ]);
});

Deno.test("verifyBackups() finds an object that vanishes or is cut while it is read", async () => {
  const { store, verify, key } = await world();
  const cut = overriding(store, {
    async get(name, options) {
      if (name === key(0, 1)) return ReadableStream.from([new Uint8Array(3)]);
      if (name === key(0, 0)) await store.delete([name]);
      return await store.get(name, options);
    },
  });
  const found = await faults(verify({}, { store: cut }));
  assert.deepEqual(found.map(({ reason }) => reason).sort(), [
    "has 3 bytes, 30 were stored",
    "is missing",
  ]);
});

Deno.test("verifyBackups() does not miss the objects of a backup that is removed meanwhile", async () => {
  const { store, verify, repository, backups } = await world();
  const folder = repository.folder(backups[3]!);
  await store.delete([`${folder}backup.json`, folder + backups[3]!.objects[0]!.key]);
  const found = await verify();
  assert.deepEqual(found.map(({ backup }) => backup.id), [FULL, FIRST, SECOND]);
  assert.deepEqual(found.flatMap(({ faults }) => faults), []);
});

Deno.test("verifyBackups() takes a store that cannot be asked for no finding", async () => {
  const { store, verify } = await world();
  const down = overriding(store, { get: () => Promise.reject(new StorageError("down")) });
  await assert.rejects(verify({}, { store: down }), StorageError);
});

Deno.test("verifyBackups() reads a sample by lot, and misses nothing that is absent", async () => {
  const { store, verify, key } = await world();
  await store.delete([key(0, 0)]);
  const lots = [0.9, 0.5, 0.1];
  const found = await verify({ sample: 0.3, random: () => lots.push(lots.shift()!) && lots[0]! });
  assert.deepEqual(found.map(({ objects }) => objects), [1, 1, 1, 1]);
  assert.equal(found[0]!.faults.length, 1);
});

Deno.test("verifyBackups() stops when it is told to", async () => {
  const { verify } = await world();
  await assert.rejects(verify({ signal: AbortSignal.abort(new Error("enough")) }), /enough/);
});

Deno.test("chainOf() names the full backup first, and a parent that is not there", async () => {
  const { backups } = await world();
  const ids = chainOf(backups[2]!, backups).map(({ id }) => id);
  assert.deepEqual(ids, [FULL, FIRST, SECOND]);
  assert.throws(() => chainOf(backups[2]!, backups.slice(1)), /builds on 20261101T000000Z-F, /);
  const circle = [{ id: "a", parentId: "b" }, { id: "b", parentId: "a" }];
  assert.throws(() => chainOf(circle[0]!, circle), /builds on/);
  assert.deepEqual(dependents("a", circle), ["a", "b"]);
  const childFirst = [{ id: "c", parentId: "b" }, { id: "b", parentId: "a" }, ...circle];
  assert.deepEqual(dependents("a", childFirst.slice(0, 3)), ["a", "c", "b"]);
});
