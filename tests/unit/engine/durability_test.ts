/** What must be on disk before the next step is taken, as the operating system was asked for it. */
import assert from "node:assert/strict";
import { WalDelivery } from "../../../src/engine/wal/deliver_wal.ts";
import { identityOf } from "../../../src/engine/wal/wal_file.ts";
import { WalSpool } from "../../../src/engine/wal/wal_spool.ts";
import { DurabilityLog } from "../../support/durability_log.ts";
import { restoreBackup, takeBackup } from "../../support/physical_backups.ts";
import { FILES, physicalTest, source } from "../../support/physical_world.ts";

Deno.test("WalDelivery syncs the content, then names it, then syncs the name", async () => {
  const folder = await Deno.makeTempDir();
  try {
    using log = new DurabilityLog(folder);
    const delivery = new WalDelivery(`${folder}/RECOVERYXLOG`);
    delivery.write(new Uint8Array(3));
    await delivery.end();
    const temporary = `RECOVERYXLOG.backupctl-${Deno.pid}`;
    const renamed = `rename ${temporary} → RECOVERYXLOG`;
    assert.deepEqual(log.events, [`sync ${temporary}`, renamed, "sync ."]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("WalSpool.mark() and settle() make marks durable, their names last", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/wal`, "x");
    const identity = identityOf(`${folder}/wal`);
    const spool = new WalSpool(folder, "settings");
    using log = new DurabilityLog(folder);
    assert.ok(spool.mark({ name: "NAME", identity, sha256: "f00" }));
    spool.settle();
    const temporary = `NAME.mark.${Deno.pid}.tmp`;
    const renamed = `rename ${temporary} → NAME.mark`;
    assert.deepEqual(log.events, [`sync ${temporary}`, renamed, "sync ."]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

physicalTest(
  "a restore syncs everything before global/pg_control has its name, and then that",
  async (world) => {
    const backup = await takeBackup(world, source({ members: [...FILES] }));
    const destination = `${world.folder}/restored`;
    using log = new DurabilityLog(destination);
    await restoreBackup(world, backup, { destination });
    const appears = log.events.findIndex((event) => event.endsWith("→ global/pg_control"));
    assert.ok(appears > 0, log.events.join("\n"));
    assert.ok(log.events.slice(0, appears).includes("run sync -f ."), log.events.join("\n"));
    const after = log.events.slice(appears + 1);
    assert.deepEqual(after, ["sync global/pg_control", "sync global", "sync ."]);
  },
);
