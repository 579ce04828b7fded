import assert from "node:assert/strict";
import fc from "fast-check";
import type { UnfinishedBackup } from "../../../src/catalog/catalog.ts";
import { listManifests } from "../../../src/catalog/list_manifests.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";

const NAMES = [
  "a.dump.gz",
  "backup.json",
  "backup.json.pin",
  "backup_manifest.zst",
  "chunks/0001.tar.zst",
  "chunks/0002.tar.zst",
  "claim",
  "globals.sql.gz",
];

/** Folders by their names, each with the names of its objects. */
const folders = fc.dictionary(
  fc.tuple(fc.constantFrom("1", "7345678901234567890"), fc.integer({ min: 10, max: 20 })).map(
    ([system, day]) => `main/${system}/backups/202611${day}T000000Z-F/`,
  ),
  fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1 }),
  { noNullPrototype: true },
);

async function listed(store: MemoryStore) {
  const unfinished: UnfinishedBackup[] = [];
  const options = { onUnfinished: (backup: UnfinishedBackup) => unfinished.push(backup) };
  const keys = await Array.fromAsync(listManifests(store, "main", options), ({ key }) => key);
  return { keys, unfinished };
}

Deno.test("listManifests() finds every manifest, and every folder without one", async () => {
  const property = fc.asyncProperty(folders, async (tree) => {
    const store = new MemoryStore();
    await store.put("main/1/wal/00000001/00000000/000000010000000000000001.zst", bytes(1));
    await store.put("main/repository.json", bytes(1));
    for (const [folder, names] of Object.entries(tree)) {
      for (const [index, name] of names.entries()) await store.put(folder + name, bytes(index + 1));
    }
    const { keys, unfinished } = await listed(store);
    const [done, open] = [true, false].map((wanted) =>
      Object.keys(tree).filter((folder) => tree[folder]!.includes("backup.json") === wanted).sort()
    );
    assert.deepEqual(keys, done!.map((folder) => `${folder}backup.json`));
    assert.deepEqual(
      unfinished.map(({ systemIdentifier, id }) => `main/${systemIdentifier}/backups/${id}/`),
      open,
    );
    for (const { systemIdentifier, id, objects, storedBytes } of unfinished) {
      const count = tree[`main/${systemIdentifier}/backups/${id}/`]!.length;
      assert.deepEqual([objects, storedBytes], [count, count * (count + 1) / 2]);
    }
  });
  await fc.assert(property, { numRuns: 200 });
});

Deno.test("listManifests() takes what is no backup's folder for no unfinished one", async () => {
  const store = new MemoryStore();
  await store.put("main/1/backups/notes/readme.txt", bytes(1));
  await store.put("main/1/backups/readme.txt", bytes(1));
  assert.deepEqual((await listed(store)).unfinished, []);
});

function bytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(length);
}
