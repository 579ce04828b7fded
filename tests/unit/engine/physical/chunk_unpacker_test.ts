import assert from "node:assert/strict";
import { IntegrityError } from "../../../../src/domain/errors.ts";
import { ChunkUnpacker } from "../../../../src/engine/physical/chunk_unpacker.ts";

Deno.test("ChunkUnpacker enters no folder through a link that lies in the destination", async () => {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-unpacker-" });
  try {
    const [destination, outside] = [`${folder}/data`, `${folder}/outside`];
    await Deno.mkdir(destination);
    await Deno.mkdir(outside);
    await Deno.symlink(outside, `${destination}/base`);
    for (const name of ["base/1", "base/5/1"]) {
      const unpacker = new ChunkUnpacker(
        { destination, tablespaces: new Map() },
        { owner: undefined },
      );
      const file = { type: "file", name, size: 1, mode: 0o600 } as const;
      assert.throws(() => unpacker.begin(file as never), IntegrityError);
    }
    assert.deepEqual([...Deno.readDirSync(outside)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("ChunkUnpacker refuses a file in the place of a tablespace", async () => {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-unpacker-" });
  try {
    const [destination, space] = [`${folder}/data`, `${folder}/space`];
    await Deno.mkdir(destination);
    await Deno.mkdir(space);
    const folders = { destination, tablespaces: new Map([[16385, space]]) };
    const unpacker = new ChunkUnpacker(folders, { owner: undefined });
    const file = { type: "file", name: "pg_tblspc/16385", size: 1, mode: 0o600 } as const;
    assert.throws(() => unpacker.begin(file as never), {
      ...{ name: "IntegrityError", message: `${space} is in the backup as a file and as a folder` },
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
