import assert from "node:assert/strict";
import { StorageError } from "../../../src/domain/errors.ts";
import { DirectoryStore } from "../../../src/storage/directory.ts";

async function inFolder(work: (folder: string, store: DirectoryStore) => Promise<void>) {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    await work(folder, new DirectoryStore(folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("DirectoryStore.list() leaves links out and names them when somebody listens", async () => {
  await inFolder(async (folder, store) => {
    await store.put("main/a/one", new Uint8Array(1));
    await store.put("main/c/two", new Uint8Array(1));
    await Deno.symlink("/etc", `${folder}/main/b`);
    await Deno.symlink("one", `${folder}/main/a/link`);
    const foreign: string[] = [];
    const onForeign = (path: string) => foreign.push(path);
    const keys = await Array.fromAsync(store.list("main/", { onForeign }), ({ key }) => key);
    assert.deepEqual(keys, ["main/a/one", "main/c/two"]);
    assert.deepEqual(foreign.sort(), [`${folder}/main/a/link`, `${folder}/main/b`]);
    const below = await Array.fromAsync(store.list("main/b/ssl/", { onForeign }));
    assert.deepEqual([below, foreign.length], [[], 3]);
  });
});

Deno.test("DirectoryStore.list() fails at a link when nobody listens", async () => {
  await inFolder(async (folder, store) => {
    await store.put("main/a/one", new Uint8Array(1));
    await Deno.symlink("/etc", `${folder}/main/b`);
    await assert.rejects(Array.fromAsync(store.list("main/")), StorageError);
    await assert.rejects(Array.fromAsync(store.list("main/b/ssl/")), StorageError);
  });
});
