import assert from "node:assert/strict";
import { text } from "../../support/bodies.ts";
import { fileTree } from "../../support/file_tree.ts";
import { makeServerFolder, serverUser } from "../../support/server_user.ts";
import { DirectoryStore } from "../../../src/storage/directory.ts";

Deno.test("what is put into a folder belongs to the folder's owner, also when root puts it", async () => {
  const root = await makeServerFolder();
  try {
    const store = new DirectoryStore(root);
    await store.put("a/b/c", text("x"), { ifAbsent: true, metadata: { sha256: "f00" } });
    await store.put("a/b/c", text("y"), { ifMatch: (await store.head("a/b/c"))!.etag! });
    const owner = serverUser()?.uid ?? Deno.uid();
    for (const path of (await fileTree(root)).keys()) {
      assert.equal((await Deno.lstat(`${root}/${path}`)).uid, owner, path);
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
