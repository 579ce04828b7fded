import assert from "node:assert/strict";
import { systemClock } from "../../../src/domain/clock.ts";
import { Beacon } from "../../../src/engine/wal/beacon.ts";
import { runAhead } from "../../../src/engine/wal/run_ahead.ts";
import { identityOf } from "../../../src/engine/wal/wal_file.ts";
import { WalSpool } from "../../../src/engine/wal/wal_spool.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import { pushParts, WalRig } from "../../support/wal_rig.ts";
import { makeSegment } from "../../support/wal_segments.ts";

Deno.test("a beacon is lit by one at a time, and goes dark with its process", async () => {
  const folder = await Deno.makeTempDir();
  const [first, second] = [new Beacon(`${folder}/x`), new Beacon(`${folder}/x`)];
  assert.equal(second.isLit, false);
  assert.equal(first.light(), true);
  assert.equal(second.isLit, true);
  assert.equal(second.light(), false);
  first.quench();
  assert.equal(second.isLit, false);
  await Deno.writeTextFile(`${folder}/x`, "");
  const old = new Date(Date.now() - 60_000);
  await Deno.utime(`${folder}/x`, old, old);
  assert.equal(second.isLit, false, "its process was killed");
  assert.equal(second.light(), true);
  assert.equal(first.light(), false);
  second.quench();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("runAhead() stays a few files ahead of PostgreSQL, and ends when it stops asking", async () => {
  await using rig = await WalRig.make();
  await Deno.mkdir(`${rig.folder}/spool`);
  const spool = new WalSpool(`${rig.folder}/spool`, "settings");
  spool.claim();
  const walFolder = `${rig.folder}/pg_wal`;
  const names: string[] = [];
  for (let number = 1; number <= 12; number++) {
    const { name, bytes } = makeSegment({ number, seed: number, filled: 0.05 });
    await rig.write(name, bytes, { ready: true });
    names.push(name);
  }
  const store = new MemoryStore();
  // The clock stands still as long as files are asked for, however slow the machine.
  let [time, pace] = [0, 0];
  const clock = { now: systemClock.now, monotonic: () => time += pace };
  const running = runAhead({ ...pushParts({ store }), spool }, {
    ...{ walFolder, asked: names[0]!, lookAhead: 4, idleMs: 300, clock },
    signal: new AbortController().signal,
  });
  let most = 0;
  for (const name of names.slice(1)) {
    const identity = identityOf(`${walFolder}/${name}`);
    const deadline = Date.now() + 60_000;
    while (!spool.markOf(name, identity)) {
      assert.ok(Date.now() < deadline, `${name} gets no mark`);
      await new Promise((next) => setTimeout(next, 2));
    }
    const marks = [...Deno.readDirSync(spool.folder)].filter((entry) => /mark$/.test(entry.name));
    most = Math.max(most, marks.length);
    spool.forget(name);
    await Deno.remove(`${walFolder}/archive_status/${name}.ready`);
    await Deno.remove(`${walFolder}/${name}`);
  }
  pace = 100;
  assert.equal(await running, 11);
  assert.ok(most <= 5, `${most} marks at a time`);
  assert.equal((await Array.fromAsync(store.list(""))).length, 11);
});

Deno.test("runAhead() ends when a call with other settings has come, whose marks are its own", async () => {
  await using rig = await WalRig.make();
  await Deno.mkdir(`${rig.folder}/spool`);
  const [before, after] = ["in the clear", "encrypted"].map((settings) =>
    new WalSpool(`${rig.folder}/spool`, settings)
  ) as [WalSpool, WalSpool];
  before.claim();
  const walFolder = `${rig.folder}/pg_wal`;
  const [first, second] = [1, 2].map((number) => makeSegment({ number, filled: 0.05 }));
  const store = new MemoryStore();
  await rig.write(first!.name, first!.bytes, { ready: true });
  const running = runAhead({ ...pushParts({ store }), spool: before }, {
    ...{ walFolder, asked: "", lookAhead: 4, idleMs: 60_000, clock: systemClock },
    signal: AbortSignal.timeout(60_000),
  });
  const identity = identityOf(`${walFolder}/${first!.name}`);
  while (!before.markOf(first!.name, identity)) {
    await new Promise((next) => setTimeout(next, 2));
  }
  assert.equal(after.markOf(first!.name, identity), undefined);
  after.claim();
  await rig.write(second!.name, second!.bytes, { ready: true });
  assert.equal(await running, 1);
  assert.equal((await Array.fromAsync(store.list(""))).length, 1);
});
