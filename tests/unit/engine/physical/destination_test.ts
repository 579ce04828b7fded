import assert from "node:assert/strict";
import { DestinationError } from "../../../../src/domain/errors.ts";
import { totalFreeSpace } from "../../../../src/engine/destination/free_space.ts";
import { restoreOwner } from "../../../../src/engine/physical/restore_owner.ts";
import { syncFolders } from "../../../../src/engine/destination/sync_folders.ts";

const isRoot = Deno.uid() === 0;

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-destination-" });
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const PASSWD =
  "root:x:0:0:root:/root:/bin/sh\nxpostgres:x:7:7:::\npostgres:x:1234:5678:::/bin/sh\n";

Deno.test("restoreOwner() leaves files to whoever is not root", async () => {
  assert.equal(await restoreOwner("/nowhere", { uid: 1000 }), undefined);
});

Deno.test("restoreOwner() gives root's files to the account postgres", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/passwd`, PASSWD);
    const owner = await restoreOwner(`${folder}/new`, { uid: 0, passwd: `${folder}/passwd` });
    assert.deepEqual(owner, { uid: 1234, gid: 5678 });
  });
});

Deno.test("restoreOwner() refuses when there is nobody to own a data directory", async () => {
  await withFolder(async (folder) => {
    for (const text of ["root:x:0:0:::\n", "", "postgres:x:::::\n".replace("::", ":a:")]) {
      await Deno.writeTextFile(`${folder}/passwd`, text);
      await assert.rejects(
        restoreOwner(`${folder}/new`, { uid: 0, passwd: `${folder}/passwd` }),
        (error) => error instanceof DestinationError && /user that will run/.test(error.hint ?? ""),
        text,
      );
    }
  });
});

Deno.test("restoreOwner() prefers the owner of the destination, unless that is root", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/passwd`, PASSWD);
    await Deno.mkdir(`${folder}/new`);
    if (isRoot) await Deno.chown(`${folder}/new`, 4321, 8765);
    const { uid, gid } = await Deno.stat(`${folder}/new`);
    const owner = await restoreOwner(`${folder}/new`, { uid: 0, passwd: `${folder}/passwd` });
    assert.deepEqual(owner, { uid, gid });
    if (!isRoot) return;
    await Deno.chown(`${folder}/new`, 0, 0);
    const other = await restoreOwner(`${folder}/new`, { uid: 0, passwd: `${folder}/passwd` });
    assert.deepEqual(other, { uid: 1234, gid: 5678 });
  });
});

Deno.test("syncFolders() syncs file by file where the program sync is missing or refuses", async () => {
  await withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/base`);
    await Deno.writeTextFile(`${folder}/base/1`, "x");
    await Deno.symlink("/nowhere", `${folder}/link`);
    assert.equal(await syncFolders([folder], { program: `${folder}/no-sync` }), 1);
    assert.equal(await syncFolders([folder], { program: "false" }), 1);
    assert.equal(await syncFolders([folder], { program: "true" }), 0);
    await assert.rejects(syncFolders([`${folder}/gone`], { program: "false" }));
  });
});

Deno.test("totalFreeSpace() counts a file system once", async () => {
  await withFolder(async (folder) => {
    const once = totalFreeSpace([folder]) ?? 0;
    const twice = totalFreeSpace([`${folder}/a/b`, `${folder}/c`]) ?? 0;
    assert.ok(once > 0);
    assert.ok(Math.abs(once - twice) < once / 2, `${once} and ${twice}`);
    await Promise.resolve();
  });
});
