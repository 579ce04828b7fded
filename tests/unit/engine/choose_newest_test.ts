import assert from "node:assert/strict";
import { manifestKey } from "../../../src/catalog/layout.ts";
import { openRepository } from "../../../src/catalog/repository.ts";
import { stableJson } from "../../../src/catalog/stable_json.ts";
import { IntegrityError, NothingMatchesError } from "../../../src/domain/errors.ts";
import { RestoreEngine } from "../../../src/engine/engine.ts";
import type { RestoreParts } from "../../../src/engine/parts.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import { sampleManifest } from "../../support/manifests.ts";

const utf8 = new TextEncoder();

/** A repository with one good backup, and the engine over it. */
async function world() {
  const store = new MemoryStore();
  const repository = openRepository(store, { cluster: "main" });
  await repository.prepare();
  const good = sampleManifest();
  await store.put(manifestKey("main", good), utf8.encode(stableJson(good)));
  const engine = new RestoreEngine({ store, repository } as unknown as RestoreParts);
  return { store, good, engine, folder: `main/${good.systemIdentifier}/backups/` };
}

Deno.test("RestoreEngine.choose() takes no older backup for a newest one that cannot be read", async () => {
  const { store, good, engine, folder } = await world();
  await store.put(`${folder}20991231T000000Z-L/backup.json`, utf8.encode("{"));
  await assert.rejects(engine.choose(), (error) => {
    assert.ok(error instanceof IntegrityError);
    assert.match(error.message, /^the newest backup, 20991231T000000Z-L, cannot be read: /);
    assert.match(error.hint!, new RegExp(`--backup-id ${good.id} `));
    return true;
  });
  assert.deepEqual(await engine.choose(good.id), good);
});

Deno.test("RestoreEngine.choose() passes over older and foreign folders that cannot be read", async () => {
  const { store, good, engine, folder } = await world();
  await store.put(`${folder}20000101T000000Z-L/backup.json`, utf8.encode("{"));
  await store.put(`${folder}zzz/backup.json`, utf8.encode("{"));
  assert.deepEqual(await engine.choose(), good);
});

Deno.test("RestoreEngine.choose() does not say that there is none when the only one is damaged", async () => {
  const { store, good, engine } = await world();
  await store.put(manifestKey("main", good), utf8.encode("{"));
  await assert.rejects(engine.choose(), IntegrityError);
  await store.delete([manifestKey("main", good)]);
  await assert.rejects(engine.choose(), NothingMatchesError);
});
