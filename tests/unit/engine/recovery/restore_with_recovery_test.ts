import assert from "node:assert/strict";
import { DestinationError } from "../../../../src/domain/errors.ts";
import type { RecoverySettings } from "../../../../src/engine/engine.ts";
import { parseRecoveryRequest } from "../../../../src/engine/recovery/recovery_target.ts";
import { fileTree } from "../../../support/file_tree.ts";
import { restoreBackup, takeBackup } from "../../../support/physical_backups.ts";
import { physicalTest, source } from "../../../support/physical_world.ts";

const RECOVERY: RecoverySettings = {
  request: parseRecoveryRequest({ toLsn: "0/3000000" })!,
  timeline: 1,
  restoreCommand: "backupctl wal-fetch %f %p",
};

physicalTest("restorePhysical() leaves a data directory that knows its target", async (world) => {
  const { folder, ...rig } = world;
  const backup = await takeBackup(rig, source());
  await restoreBackup(rig, backup, { destination: `${folder}/new`, recovery: RECOVERY });
  const tree = await fileTree(`${folder}/new`);
  assert.match(tree.get("recovery.signal") ?? "", /^file 600 0 /);
  const text = await Deno.readTextFile(`${folder}/new/postgresql.auto.conf`);
  assert.match(text, /^recovery_target_lsn = '0\/3000000'$/m);
  assert.match(text, /^archive_mode = 'off'$/m);
});

physicalTest("restorePhysical() leaves archiving as it was when asked to", async (world) => {
  const { folder, ...rig } = world;
  const backup = await takeBackup(rig, source());
  await restoreBackup(rig, backup, { destination: `${folder}/new`, keepArchiving: true });
  const tree = await fileTree(`${folder}/new`);
  assert.equal(tree.has("postgresql.auto.conf"), false);
});

physicalTest(
  "restorePhysical() leaves nothing that starts when it cannot write the target",
  async ({ folder, ...rig }) => {
    const members = [{ name: "postgresql.auto.conf/" }]; // a folder in the file's place
    const backup = await takeBackup(rig, source({ members }));
    await assert.rejects(
      restoreBackup(rig, backup, { destination: `${folder}/new`, recovery: RECOVERY }),
      (error) => error instanceof DestinationError && /auto\.conf/.test(error.message),
    );
    assert.equal((await fileTree(`${folder}/new`)).has("global/pg_control"), false);
  },
);
