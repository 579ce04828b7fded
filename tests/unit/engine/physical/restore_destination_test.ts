import assert from "node:assert/strict";
import { DestinationError, StorageError } from "../../../../src/domain/errors.ts";
import {
  FILES,
  overriding,
  physicalTest,
  source,
  tablespace,
} from "../../../support/physical_world.ts";
import { CONTROL_MEMBER, CORE_MEMBERS, FakeSource } from "../../../support/fake_base_backup.ts";
import { restoreBackup, takeBackup } from "../../../support/physical_backups.ts";
import { fileTree } from "../../../support/file_tree.ts";

physicalTest(
  "restorePhysical() takes only empty or absent folders in an existing one",
  async ({ folder, ...rig }) => {
    const backup = await takeBackup(rig, source());
    const attempt = (destination: string) => restoreBackup(rig, backup, { destination });
    await Deno.mkdir(`${folder}/full`);
    await Deno.writeTextFile(`${folder}/full/mine`, "precious");
    await Deno.symlink(`${folder}/nowhere`, `${folder}/dangling`);
    const cases: [string, RegExp][] = [
      [`${folder}/full`, /is not empty: it holds mine/],
      [`${folder}/full/mine`, /not a folder/],
      [`${folder}/absent/deeper`, /absent, the folder for .*, does not exist/],
      [`${folder}/dangling`, /leads nowhere/],
    ];
    for (const [destination, message] of cases) {
      await assert.rejects(
        attempt(destination),
        (error) => error instanceof DestinationError && message.test(error.message),
        destination,
      );
    }
    await Deno.writeTextFile(`${folder}/full/postmaster.pid`, `${Deno.pid}\n`);
    await assert.rejects(
      attempt(`${folder}/full`),
      new RegExp(`process ${Deno.pid}\\) is running`),
    );
    assert.equal(await Deno.readTextFile(`${folder}/full/mine`), "precious");
    await Deno.mkdir(`${folder}/empty`, { mode: 0o755 });
    await attempt(`${folder}/empty`);
    assert.equal((await Deno.stat(`${folder}/empty`)).mode! & 0o777, 0o700);
  },
);

physicalTest(
  "restorePhysical() gives root's files to the owner of the destination, folders included",
  async ({ folder, ...rig }) => {
    if (Deno.uid() !== 0) return console.error("NOTE: not root: ownership is not tested");
    await Deno.chmod(folder, 0o755);
    const archives = [
      tablespace(16384, `${folder}/deep/er/ts`, [{ name: "PG_15_202209061/5/1", content: "x" }]),
    ];
    const data = { members: [...CORE_MEMBERS, ...FILES, CONTROL_MEMBER] };
    const backup = await takeBackup(rig, new FakeSource({ archives: [data, ...archives] }));
    await Deno.mkdir(`${folder}/new`);
    await Deno.chown(`${folder}/new`, 4321, 8765);
    await restoreBackup(rig, backup, { destination: `${folder}/new` });
    for (const root of [`${folder}/new`, `${folder}/deep/er/ts`]) {
      for (const path of ["", ...(await fileTree(root)).keys()]) {
        const { uid, gid, isSymlink } = await Deno.lstat(`${root}/${path}`);
        if (!isSymlink) assert.deepEqual([uid, gid], [4321, 8765], `${root}/${path}`);
      }
    }
    assert.equal((await Deno.stat(`${folder}/deep`)).uid, 4321);
    await Deno.mkdir(`${folder}/again`);
    await Deno.chown(`${folder}/again`, 4321, 8765);
    const gone = () => Promise.reject(new StorageError("the network is gone"));
    await assert.rejects(
      restoreBackup({ ...rig, store: overriding(rig.store, { get: gone }) }, backup, {
        destination: `${folder}/again`,
        tablespaceMap: new Map([[`${folder}/deep/er/ts`, `${folder}/ts-again`]]),
      }),
      (error) => error instanceof StorageError && /again holds|hold an unf/.test(error.message),
    );
    assert.equal((await Deno.stat(`${folder}/again`)).uid, 4321);
  },
);

physicalTest(
  "restorePhysical() leaves a cluster alone that appears in the destination meanwhile",
  async ({ folder, ...rig }) => {
    const backup = await takeBackup(rig, source());
    const control = `${folder}/new/global/pg_control`;
    const store = overriding(rig.store, {
      head: async (key) => {
        await Deno.mkdir(`${folder}/new/global`, { recursive: true });
        await Deno.writeTextFile(control, "somebody else's");
        return await rig.store.head(key);
      },
    });
    await assert.rejects(
      restoreBackup({ ...rig, store }, backup, { destination: `${folder}/new` }),
      (error) => error instanceof DestinationError && /is not empty/.test(error.message),
    );
    assert.equal(await Deno.readTextFile(control), "somebody else's");
  },
);

physicalTest(
  "restorePhysical() refuses tablespaces that lie in use, twice or within each other",
  async ({ folder, ...rig }) => {
    const [one, two] = [`${folder}/one`, `${folder}/two`];
    const data = { members: [...CORE_MEMBERS, CONTROL_MEMBER] };
    const archives = [tablespace(16384, one, []), tablespace(16390, two, []), data];
    const backup = await takeBackup(rig, new FakeSource({ archives }));
    await Deno.mkdir(one);
    await Deno.writeTextFile(`${one}/PG_VERSION`, "");
    const cases: [Record<string, string>, RegExp][] = [
      [{}, /tablespace 16384: .*one is not empty/],
      [{ [one]: two }, /two is used twice/],
      [{ [one]: `${folder}/new/x` }, /lies within/],
      [{ [one]: `${two}/x` }, /lies within/],
    ];
    for (const [map, message] of cases) {
      const options = { destination: `${folder}/new`, tablespaceMap: new Map(Object.entries(map)) };
      await assert.rejects(
        restoreBackup(rig, backup, options),
        (error) => error instanceof DestinationError && message.test(error.message),
        JSON.stringify(map),
      );
    }
    await assert.rejects(Deno.stat(`${folder}/new`), Deno.errors.NotFound);
  },
);

physicalTest(
  "restorePhysical() asks for room before the first byte",
  async ({ folder, ...rig }) => {
    const backup = await takeBackup(rig, source());
    const huge = { ...backup, rawBytes: Number.MAX_SAFE_INTEGER };
    await assert.rejects(
      restoreBackup(rig, huge, { destination: `${folder}/new` }),
      (error) => error instanceof DestinationError && /free, the backup needs/.test(error.message),
    );
    await assert.rejects(Deno.stat(`${folder}/new`), Deno.errors.NotFound);
  },
);
