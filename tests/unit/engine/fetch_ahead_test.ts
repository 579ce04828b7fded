import assert from "node:assert/strict";
import { KiB, MiB } from "../../../src/domain/bytes.ts";
import { systemClock } from "../../../src/domain/clock.ts";
import { parseWalName, type WalSegmentName } from "../../../src/domain/wal.ts";
import { awaitTaken, fetchAhead } from "../../../src/engine/wal/fetch_ahead.ts";
import { prefetchCount, PrefetchFolder } from "../../../src/engine/wal/prefetch_folder.ts";
import { pushWal } from "../../../src/engine/wal/wal_push.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import type { ObjectStore, ReadOptions } from "../../../src/storage/storage.ts";
import { PLACE, pushParts, storeWith, WalRig } from "../../support/wal_rig.ts";
import { makeSegment } from "../../support/wal_segments.ts";

function segment(number: number) {
  const { name, bytes } = makeSegment({ number, seed: number, filled: 0.05 });
  return { name: parseWalName(name) as WalSegmentName, bytes };
}

interface Prepared {
  readonly rig: WalRig;
  readonly store: MemoryStore;
  readonly folder: PrefetchFolder;
}

function prefetchFolder(root: string, run = "one"): PrefetchFolder {
  const folder = new PrefetchFolder({ root, run, place: PLACE });
  folder.prepare();
  return folder;
}

async function prepare(count: number): Promise<Prepared> {
  const rig = await WalRig.make();
  const store = new MemoryStore();
  for (let number = 1; number <= count; number++) {
    const { name, bytes } = segment(number);
    await pushWal(pushParts({ store }), await rig.file(name.name, bytes));
  }
  return { rig, store, folder: prefetchFolder(`${rig.folder}/prefetch`) };
}

function run(
  { store, folder }: Pick<Prepared, "folder"> & { readonly store: ObjectStore },
  changes: {
    lookAhead?: number;
    idleMs?: number;
    graceMs?: number;
    isCurrent?: () => boolean;
  } = {},
) {
  return fetchAhead({ store, place: PLACE, folder }, {
    ...{ after: segment(1).name, segmentBytes: MiB, lookAhead: 4, idleMs: 500, ...changes },
    ...{ clock: systemClock, signal: new AbortController().signal },
  });
}

Deno.test("fetchAhead() fetches what comes next, no more than may wait, and hands it over", async () => {
  const prepared = await prepare(12);
  await using rig = prepared.rig;
  const { folder } = prepared;
  const running = run(prepared, { idleMs: 60_000 });
  let most = 0;
  for (let number = 2; number <= 12; number++) {
    const { name, bytes } = segment(number);
    const deadline = Date.now() + 60_000;
    while (!folder.names().includes(name.name)) {
      assert.ok(Date.now() < deadline, `${name.name} never comes`);
      await new Promise((next) => setTimeout(next, 2));
    }
    most = Math.max(most, folder.names().length);
    const destination = `${rig.folder}/pg_wal/RECOVERYXLOG`;
    assert.ok(await folder.take(name, destination));
    assert.deepEqual(await Deno.readFile(destination), bytes);
  }
  assert.equal(await running, 11);
  assert.ok(most <= 4, `${most} wait`);
});

Deno.test("fetchAhead() ends where the archive ends, and when nobody takes anything", async () => {
  const short = await prepare(3);
  const start = performance.now();
  assert.equal(await run(short, { idleMs: 60_000 }), 2);
  assert.ok(performance.now() - start < 30_000, "at the first absent one");
  assert.deepEqual([...short.folder.names()].sort(), [segment(2).name.name, segment(3).name.name]);
  const long = await prepare(9);
  assert.equal(await run(long, { lookAhead: 2 }), 2);
  for (const { rig } of [short, long]) await rig[Symbol.asyncDispose]();
});

Deno.test("fetchAhead() ends when what it was begun with holds no more", async () => {
  const prepared = await prepare(9);
  let looks = 0;
  const isCurrent = () => (looks += 1) < 20;
  const start = performance.now();
  assert.equal(await run(prepared, { idleMs: 60_000, lookAhead: 2, isCurrent }), 2);
  assert.ok(performance.now() - start < 30_000, "at once");
  await prepared.rig[Symbol.asyncDispose]();
});

Deno.test("awaitTaken() ends when all is taken, nothing any more, or it holds no more", async () => {
  const { rig, folder } = await prepare(0);
  const path = folder.pathOf(segment(1).name);
  await Deno.writeTextFile(path, "");
  const limits = { clock: systemClock, signal: new AbortController().signal };
  const isCurrent = () => true;
  await awaitTaken(folder, { ...limits, idleMs: 50, isCurrent });
  await awaitTaken(folder, { ...limits, idleMs: 60_000, isCurrent: () => false });
  let taken = false;
  const waiting = awaitTaken(folder, { ...limits, idleMs: 60_000, isCurrent })
    .then(() => assert.ok(taken, "it waits as long as there is one"));
  await new Promise((next) => setTimeout(next, 50));
  taken = true;
  await Deno.remove(path);
  await waiting;
  await rig[Symbol.asyncDispose]();
});

Deno.test("fetchAhead() keeps nothing that is damaged", async () => {
  const prepared = await prepare(3);
  await using rig = prepared.rig;
  const { store } = prepared;
  const [info] = await Array.fromAsync(
    store.list("main/", {
      startAfter: "main/7345678901234567890/wal/00000001/00000000/000000010000000000000001.zst",
    }),
  );
  await store.put(info!.key, new Uint8Array(100));
  await run(prepared);
  assert.ok(!prepared.folder.names().includes(segment(2).name.name));
  assert.ok(rig);
});

Deno.test("PrefetchFolder hands over only the very segment, whole and of this recovery", async () => {
  await using rig = await WalRig.make();
  const root = `${rig.folder}/prefetch`;
  const path = `${root}/one`;
  const folder = prefetchFolder(root);
  const destination = `${rig.folder}/pg_wal/RECOVERYXLOG`;
  const one = segment(1);
  assert.equal(await folder.take(one.name, destination), false, "absent");
  const wrong = [
    segment(2).bytes,
    one.bytes.slice(0, 512 * KiB),
    makeSegment({ number: 1, systemIdentifier: "1" }).bytes,
    new Uint8Array(MiB),
  ];
  for (const bytes of wrong) {
    await Deno.writeFile(folder.pathOf(one.name), bytes);
    assert.equal(await folder.take(one.name, destination), false);
    assert.deepEqual(folder.names(), [], "what is wrong is removed");
  }
  await Deno.writeFile(folder.pathOf(one.name), one.bytes);
  const old = new Date(Date.now() - 3_600_000);
  await Deno.utime(`${path}/${one.name.name}`, old, old);
  assert.equal(await folder.take(one.name, destination), false, "too old");
  await Deno.writeFile(folder.pathOf(one.name), one.bytes);
  const restarted = prefetchFolder(root, "two");
  assert.equal(await restarted.take(one.name, destination), false, "fetched for another run");
  assert.equal(await folder.take(one.name, destination), true);
  await Deno.writeTextFile(`${path}/x.backupctl-1`, "");
  await Deno.utime(`${path}/x.backupctl-1`, old, old);
  await Deno.utime(`${root}/two`, old, old);
  folder.prepare();
  assert.deepEqual([...Deno.readDirSync(path)], []);
  assert.deepEqual([...Deno.readDirSync(root)].map(({ name }) => name), ["one"], "none of others");
});

Deno.test("prefetchCount() bounds the disk that is taken", () => {
  assert.equal(prefetchCount(16, 16 * MiB), 8);
  assert.equal(prefetchCount(16, MiB), 16);
  assert.equal(prefetchCount(16, 1024 * MiB), 1);
});

Deno.test("fetchAhead() gives up what a store does not answer, soon after nobody asks any more", async () => {
  const { rig, store, folder } = await prepare(1);
  const silent = (_key: string, { signal }: ReadOptions = {}) =>
    new Promise<never>((_, reject) => {
      signal!.addEventListener("abort", () => reject(signal!.reason), { once: true });
    });
  const hanging = storeWith(store, { get: silent, head: silent });
  assert.equal(await run({ store: hanging, folder }, { idleMs: 50, graceMs: 50 }), 0);
  await rig[Symbol.asyncDispose]();
});
