import assert from "node:assert/strict";
import {
  asBytes,
  bytes,
  FILES,
  length,
  physicalTest,
  tablespace,
} from "../../../support/physical_world.ts";
import {
  CONTROL_MEMBER,
  CORE_MEMBERS,
  type FakeArchive,
  FakeSource,
  manifestOf,
} from "../../../support/fake_base_backup.ts";
import { restoreBackup, takeBackup } from "../../../support/physical_backups.ts";
import { fileTree } from "../../../support/file_tree.ts";

for (const algorithm of ["zstd", "gzip"] as const) {
  for (const order of ["first", "last"] as const) {
    physicalTest(
      `restorePhysical() gives back what takePhysicalBackup() took: ${algorithm}, data directory ${order}`,
      async ({ folder, ...rig }) => {
        const [fast, big] = [`${folder}/old-fast`, `${folder}/old-big`];
        const archives: FakeArchive[] = [
          tablespace(16384, fast, [{ name: "PG_15_202209061/5/1", content: bytes(9000, 3) }]),
          tablespace(16390, big, [{ name: "PG_15_202209061/empty/" }]),
        ];
        const links = [{ name: "pg_tblspc/16384", link: fast }, {
          name: "pg_tblspc/16390",
          link: big,
        }];
        const data = { members: [...CORE_MEMBERS, ...links, ...FILES, CONTROL_MEMBER] };
        const from = new FakeSource({
          archives: order === "first" ? [data, ...archives] : [...archives, data],
          pieceBytes: 7777,
        });
        const backup = await takeBackup(rig, from, { codec: { algorithm, level: 1 } });
        assert.equal(from.open, 0);
        assert.equal(backup.startLsn, "0/2000028");
        assert.equal(backup.stopLsn, "0/2000100");
        assert.deepEqual(backup.tablespaces.map(({ oid }) => oid).sort(), [16384, 16390]);
        const report = await restoreBackup(rig, backup, {
          destination: `${folder}/new`,
          tablespaceMap: new Map([[fast, `${folder}/fast/er`]]),
        });
        const tree = await fileTree(`${folder}/new`);
        for (const { name, content } of [...FILES, CONTROL_MEMBER]) {
          const path = name.replace(/\/$/, "");
          const want = content === undefined ? "folder 700" : `file 600 ${length(content)} `;
          assert.ok(tree.get(path)?.startsWith(want), `${path}: ${tree.get(path)}`);
          if (content !== undefined) {
            assert.deepEqual(await Deno.readFile(`${folder}/new/${path}`), asBytes(content));
          }
        }
        assert.equal(tree.get("pg_tblspc/16384"), `→ ${folder}/fast/er`);
        assert.equal(tree.get("pg_tblspc/16390"), `→ ${big}`);
        const moved = await Deno.readFile(`${folder}/fast/er/PG_15_202209061/5/1`);
        assert.deepEqual(moved, bytes(9000, 3));
        assert.equal((await fileTree(big)).get("PG_15_202209061/empty"), "folder 700");
        assert.equal(
          await Deno.readTextFile(`${folder}/new/backup_manifest`),
          manifestOf(order === "first" ? [data, ...archives] : [...archives, data]),
        );
        assert.equal(tree.get("pg_wal/archive_status"), "folder 700");
        assert.ok(tree.delete("postgresql.auto.conf"), "archiving is switched off");
        assert.equal(
          report.files,
          [...tree.values()].filter((text) => text.startsWith("file")).length,
        );
        await assert.rejects(Deno.stat(fast), Deno.errors.NotFound);
      },
    );
  }
}
