import assert from "node:assert/strict";
import { MiB } from "../../../src/domain/bytes.ts";
import { systemClock } from "../../../src/domain/clock.ts";
import { StorageError } from "../../../src/domain/errors.ts";
import { pushAhead } from "../../../src/engine/wal/push_ahead.ts";
import { readyFiles } from "../../../src/engine/wal/ready_files.ts";
import { identityOf } from "../../../src/engine/wal/wal_file.ts";
import { WalSpool } from "../../../src/engine/wal/wal_spool.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import type { ObjectStore } from "../../../src/storage/storage.ts";
import { text } from "../../support/bodies.ts";
import { pushParts, storeWith, WalRig } from "../../support/wal_rig.ts";
import { makeSegment } from "../../support/wal_segments.ts";

async function makeSpool(rig: WalRig): Promise<WalSpool> {
  await Deno.mkdir(`${rig.folder}/spool`, { recursive: true });
  return new WalSpool(`${rig.folder}/spool`, "settings");
}

/** A rig where `count` segments wait. */
async function backlog(count: number): Promise<{ rig: WalRig; spool: WalSpool }> {
  const rig = await WalRig.make();
  for (let number = 1; number <= count; number++) {
    const { name, bytes } = makeSegment({ number, seed: number, filled: 0.1 });
    await rig.write(name, bytes, { ready: true });
  }
  return { rig, spool: await makeSpool(rig) };
}

interface Limits {
  readonly store?: ObjectStore;
  readonly until?: number;
  readonly signal?: AbortSignal;
}

async function ahead(
  { rig, spool }: { readonly rig: WalRig; readonly spool: WalSpool },
  { store = new MemoryStore(), until = Infinity, signal = new AbortController().signal }: Limits =
    {},
): Promise<number> {
  const walFolder = `${rig.folder}/pg_wal`;
  return await pushAhead({ ...pushParts({ store }), spool }, {
    ...{ walFolder, names: readyFiles(walFolder), until, clock: systemClock, signal },
  });
}

function marked({ rig, spool }: { rig: WalRig; spool: WalSpool }): string[] {
  const walFolder = `${rig.folder}/pg_wal`;
  return readyFiles(walFolder).map(({ name }) => name)
    .filter((name) => spool.markOf(name, identityOf(`${walFolder}/${name}`)) !== undefined);
}

Deno.test("readyFiles() has history files first, then everything by name, and nothing else", async () => {
  await using rig = await WalRig.make();
  const segments = [3, 1, 2].map((number) => makeSegment({ number }).name);
  const names = [
    ...segments,
    `${segments[1]}.00000028.backup`,
    "00000003.history",
    "00000002.history",
  ];
  for (const name of [...names, "x", "000000010000000000000009.tmp"]) {
    await Deno.writeTextFile(`${rig.folder}/pg_wal/archive_status/${name}.ready`, "");
  }
  await Deno.writeTextFile(`${rig.folder}/pg_wal/archive_status/${segments[0]}.done`, "");
  assert.deepEqual(readyFiles(`${rig.folder}/pg_wal`).map(({ name }) => name), [
    "00000002.history",
    "00000003.history",
    segments[1],
    `${segments[1]}.00000028.backup`,
    segments[2],
    segments[0],
  ]);
  assert.deepEqual(readyFiles(`${rig.folder}/absent`), []);
});

Deno.test("pushAhead() stores what waits and leaves a mark for each", async () => {
  const made = await backlog(7);
  await using rig = made.rig;
  const store = new MemoryStore();
  assert.equal(await ahead(made, { store }), 7);
  assert.equal(marked(made).length, 7);
  const keys = await Array.fromAsync(store.list(""));
  assert.equal(keys.length, 7);
  assert.equal(await ahead(made, { store }), 0, "marked ones are not pushed again");
  assert.ok(rig);
});

Deno.test("pushAhead() keeps apart what it reads into one buffer", async () => {
  await using rig = await WalRig.make();
  const spool = await makeSpool(rig);
  const histories = ["110", "220", "330"].map((offset) => `1\t0/3000${offset}\tx\n`);
  for (const [index, content] of histories.entries()) {
    await rig.write(`0000000${index + 2}.history`, text(content), { ready: true });
  }
  const store = new MemoryStore();
  const slow = storeWith(store, {
    put: async (...args) => {
      await new Promise((next) => setTimeout(next, 20));
      return await store.put(...args);
    },
  });
  await ahead({ rig, spool }, { store: slow });
  for (const [index, content] of histories.entries()) {
    const key = `main/7345678901234567890/wal/0000000${index + 2}.history`;
    assert.equal(await new Response(await store.get(key)).text(), content);
  }
});

Deno.test("pushAhead() leaves no mark for what the store did not acknowledge", async () => {
  const made = await backlog(4);
  await using rig = made.rig;
  let puts = 0;
  const honest = new MemoryStore();
  const store = storeWith(honest, {
    put: async (...args) => {
      if (++puts === 2) throw new StorageError("no answer");
      return await honest.put(...args);
    },
  });
  assert.equal(await ahead(made, { store }), 3);
  assert.equal(marked(made).length, 3);
  const lying = storeWith(new MemoryStore(), {
    put: (key) => Promise.resolve({ key, size: 1 }),
  });
  const other = await backlog(1);
  assert.equal(await ahead(other, { store: lying }), 0);
  assert.deepEqual(marked(other), []);
  await other.rig[Symbol.asyncDispose]();
  assert.ok(rig);
});

Deno.test("pushAhead() leaves out damaged files and those of other systems", async () => {
  const made = await backlog(2);
  await using rig = made.rig;
  const foreign = makeSegment({ number: 3, systemIdentifier: "1" });
  await rig.write(foreign.name, foreign.bytes, { ready: true });
  await rig.write(makeSegment({ number: 4 }).name, new Uint8Array(MiB), { ready: true });
  const last = makeSegment({ number: 5 });
  await rig.write(last.name, last.bytes, { ready: true });
  assert.equal(await ahead(made), 3);
});

Deno.test("pushAhead() begins nothing when its time is up or its call has failed", async () => {
  const made = await backlog(2);
  await using rig = made.rig;
  assert.equal(await ahead(made, { until: 0 }), 0);
  assert.equal(await ahead(made, { signal: AbortSignal.abort() }), 0);
  assert.ok(rig);
});

Deno.test("a mark holds for the very file that was pushed, and for no other of its name", async () => {
  const made = await backlog(1);
  await using rig = made.rig;
  await ahead(made);
  const { name, bytes } = makeSegment({ number: 1, seed: 99 });
  const path = `${rig.folder}/pg_wal/${name}`;
  assert.deepEqual(marked(made), [name]);
  const { mtime } = await Deno.stat(path);
  while (Date.now() - mtime!.getTime() < 50) await new Promise((next) => setTimeout(next, 1));
  await Deno.writeFile(path, bytes);
  assert.deepEqual(marked(made), [], "rewritten in place");
  // Deno tells the time of an inode's change in whole seconds; within one, two look alike.
  const second = (time: number) => Math.floor(time / 1000);
  // The time that files get lags some milliseconds behind the clock.
  while (second(Date.now() - 100) <= second(mtime!.getTime())) {
    await new Promise((next) => setTimeout(next, 10));
  }
  await Deno.remove(path);
  await Deno.writeFile(path, bytes);
  await Deno.utime(path, mtime!, mtime!);
  assert.deepEqual(marked(made), [], "another file of the same time");
});

Deno.test("a mark that is damaged counts for nothing", async () => {
  const made = await backlog(1);
  await using rig = made.rig;
  await ahead(made);
  const path = `${made.spool.folder}/${makeSegment({ number: 1 }).name}.mark`;
  const whole = await Deno.readTextFile(path);
  for (
    const damaged of ["", whole.slice(0, 40), "{}", whole.replace(/"name":"[^"]*"/, '"name":"x"')]
  ) {
    await Deno.writeTextFile(path, damaged);
    assert.deepEqual(marked(made), [], damaged);
  }
  assert.ok(rig);
});
