import assert from "node:assert/strict";
import { DiskFolder } from "../../../src/service/alerts/queue/folder_files.ts";
import { MemoryFiles } from "../../../src/service/alerts/queue/memory_files.ts";
import { openFiles } from "../../../src/service/alerts/queue/open_files.ts";
import { alertRig } from "../../support/alerts/alert_rig.ts";

async function withFolder(use: (base: string) => Promise<void>): Promise<void> {
  const base = await Deno.makeTempDir();
  try {
    await use(base);
  } finally {
    await Deno.remove(base, { recursive: true });
  }
}

const aMemory = () => new MemoryFiles({ now: () => new Date() });

Deno.test("openFiles() takes the disk's folder when it can be used, and leaves nothing in it", async () => {
  await withFolder(async (base) => {
    const disk = new DiskFolder(`${base}/state/alerts`);
    for (const text of ["first", "again"]) {
      assert.deepEqual(await openFiles(disk, aMemory()), { files: disk, fault: undefined });
      await disk.write("alerts.json", text);
      await disk.locked("alerts.lock", () => Promise.resolve());
    }
    const names = (await disk.list()).map(({ name }) => name);
    assert.deepEqual(names, ["alerts.json", "alerts.lock"]);
    assert.equal(await disk.read("alerts.json"), "again");
  });
});

Deno.test("openFiles() takes the memory when the folder cannot be made", async () => {
  await withFolder(async (base) => {
    await Deno.writeTextFile(`${base}/state`, "");
    const memory = aMemory();
    const { files, fault } = await openFiles(new DiskFolder(`${base}/state/alerts`), memory);
    assert.equal(files, memory);
    assert.equal(fault, "Not a directory");
  });
});

Deno.test("openFiles() takes the memory when a file of the folder cannot be used", async () => {
  await withFolder(async (base) => {
    const memory = aMemory();
    // Modes stop no root, but what this link leads to can be opened by nobody.
    for (const name of ["alerts.lock", "alerts.json"]) {
      const folder = `${base}/${name}.d`;
      await Deno.mkdir(folder);
      await Deno.symlink("/dev/null/x", `${folder}/${name}`);
      const disk = new DiskFolder(folder);
      disk.list = () => Promise.resolve([{ name, modifiedAt: new Date() }]);
      const { files, fault } = await openFiles(disk, memory);
      assert.equal(files, memory, name);
      assert.equal(fault, "Not a directory");
    }
  });
});

Deno.test("openFiles() does not mind files that are not alerts'", async () => {
  await withFolder(async (base) => {
    await Deno.mkdir(`${base}/notes`);
    await Deno.symlink(`${base}/absent`, `${base}/absent.json`);
    const disk = new DiskFolder(base);
    assert.equal((await openFiles(disk, aMemory())).files, disk);
  });
});

Deno.test("AlertManager without a disk sends, tells once, and tries again what failed", async () => {
  const rig = alertRig();
  const memory = new MemoryFiles({ now: () => rig.clock.now() });
  const look = {
    findings: [{ rule: "disk_low", subject: "x", severity: "critical", title: "x" }],
    covers: () => true,
  } as const;
  const manager = rig.open(memory);
  const { send } = rig.channel;
  rig.channel.send = () => Promise.reject(new Error("down"));
  await manager.look(look);
  assert.equal((await manager.deliver()).waiting, 1);
  rig.channel.send = send;
  for (let round = 0; round < 3; round++) {
    rig.clock.advance(60_000);
    await manager.look(look);
    await manager.deliver();
  }
  assert.deepEqual(rig.channel.notices.map(({ event }) => event), ["firing"]);
  assert.deepEqual((await manager.openAlerts()).map(({ subject }) => subject), ["x"]);
  const left = (await memory.list()).map(({ name }) => name);
  assert.deepEqual(left, ["alerts.json"]);
});

Deno.test("MemoryFiles lets one at a time in under a name, and lets go of who gives up", async () => {
  const memory = aMemory();
  const { promise, resolve } = Promise.withResolvers<void>();
  const order: string[] = [];
  const first = memory.locked("a", async () => {
    await promise;
    order.push("first");
  });
  const second = memory.locked("a", () => Promise.resolve(order.push("second")));
  const gone = memory.locked("a", () => Promise.resolve(), AbortSignal.abort(new Error("gone")));
  await assert.rejects(gone, /gone/);
  await memory.locked("b", () => Promise.resolve(order.push("other")));
  resolve();
  await Promise.all([first, second]);
  assert.deepEqual(order, ["other", "first", "second"]);
  await assert.rejects(memory.locked("a", () => Promise.reject(new Error("no"))), /no/);
  await memory.locked("a", () => Promise.resolve());
});
