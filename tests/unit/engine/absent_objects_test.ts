import assert from "node:assert/strict";
import { openRepository } from "../../../src/catalog/repository.ts";
import { IntegrityError } from "../../../src/domain/errors.ts";
import { RestoreEngine } from "../../../src/engine/engine.ts";
import type { RestoreParts } from "../../../src/engine/parts.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import { sampleManifest } from "../../support/manifests.ts";

/** A backup's objects in a store, and the engine that would restore them. */
async function stored() {
  const store = new MemoryStore();
  const repository = openRepository(store, { cluster: "main" });
  const { databases, objects } = sampleManifest();
  const dump = objects.find(({ role }) => role === "dump")!;
  const backup = sampleManifest({
    databases: [...databases, { name: "other", sizeBytes: 1 }],
    objects: [...objects, { ...dump, key: "other.dump.gz", database: "other" }],
  });
  const folder = repository.folder(backup);
  for (const { key, storedBytes } of backup.objects) {
    await store.put(folder + key, new Uint8Array(storedBytes));
  }
  const engine = new RestoreEngine({ store, repository } as unknown as RestoreParts);
  const parent = await Deno.makeTempDir({ prefix: "backupctl-absent-" });
  const options = { destination: `${parent}/new`, jobs: 1 };
  return {
    ...{ store, backup, folder, engine, options },
    [Symbol.asyncDispose]: () => Deno.remove(parent, { recursive: true }),
  };
}

Deno.test("RestoreEngine.plan() says which objects are missing or have another length", async () => {
  await using world = await stored();
  const { store, backup, folder, engine, options } = world;
  assert.deepEqual((await engine.plan(backup, options)).obstacles, []);
  const [first, second] = backup.objects;
  await store.delete([folder + first!.key]);
  await store.put(folder + second!.key, new Uint8Array(7));
  assert.deepEqual((await engine.plan(backup, options)).obstacles, [
    `object ${first!.key} is missing, ` +
    `object ${second!.key} has 7 bytes, ${second!.storedBytes} were stored`,
  ]);
});

Deno.test("RestoreEngine.restore() refuses before the first byte when an object is missing", async () => {
  await using world = await stored();
  const { store, backup, folder, engine, options } = world;
  const last = backup.objects.at(-1)!;
  await store.delete([folder + last.key]);
  await assert.rejects(engine.restore(backup, options), (error) => {
    assert.ok(error instanceof IntegrityError);
    assert.match(error.message, new RegExp(`object ${last.key} is missing`));
    return true;
  });
  await assert.rejects(Deno.stat(options.destination), Deno.errors.NotFound);
});

Deno.test("RestoreEngine.plan() does not miss the dumps of databases that are not asked for", async () => {
  await using world = await stored();
  const { store, backup, folder, engine, options } = world;
  await store.delete([`${folder}other.dump.gz`]);
  const { obstacles } = await engine.plan(backup, { ...options, databases: ["app"] });
  assert.deepEqual(obstacles, []);
});
