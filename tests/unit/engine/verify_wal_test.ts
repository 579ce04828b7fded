import assert from "node:assert/strict";
import fc from "fast-check";
import { type Bytes, MiB } from "../../../src/domain/bytes.ts";
import { StorageError } from "../../../src/domain/errors.ts";
import { parseWalName, segmentName } from "../../../src/domain/wal.ts";
import { walKey } from "../../../src/domain/wal_key.ts";
import { verifyWal } from "../../../src/engine/verify_wal.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import { encodedWal } from "../../support/wal_rig.ts";
import { makeSegment, TEST_SYSTEM } from "../../support/wal_segments.ts";

const PLACE = { cluster: "main", systemIdentifier: TEST_SYSTEM };
const HISTORY = new TextEncoder().encode("1\t0/700000\tno recovery target specified\n");

async function push(
  store: MemoryStore,
  fileName: string,
  bytes: Bytes,
  { asIf = fileName, metadata = true }: { asIf?: string; metadata?: boolean } = {},
): Promise<string> {
  const name = parseWalName(fileName)!;
  const encoded = await encodedWal(name, bytes);
  const key = walKey(PLACE, parseWalName(asIf)!);
  await store.put(key, encoded.stored, metadata ? { metadata: encoded.metadata } : {});
  return key;
}

/** Segments 5 to 8 of timeline 1 and 7 of timeline 2, with the history between. */
async function archive(): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (const [timeline, number] of [[1, 5], [1, 6], [1, 7], [1, 8], [2, 7]] as const) {
    const { name, bytes } = makeSegment({ timeline, number });
    await push(store, name, bytes);
  }
  await push(store, "00000002.history", HISTORY);
  return store;
}

async function reasons(store: MemoryStore): Promise<string[]> {
  const { damaged } = await verifyWal(store, { place: PLACE });
  return damaged.map(({ key, reason }) => `${key.split("/").at(-1)}: ${reason}`);
}

Deno.test("verifyWal() reads everything back and finds nothing", async () => {
  const names: string[] = [];
  const report = await verifyWal(await archive(), {
    place: PLACE,
    onChecked: (name) => void names.push(name),
  });
  const { objects, rawBytes, damaged, withoutDigest } = report;
  assert.deepEqual([objects, rawBytes, damaged, withoutDigest], [
    ...[6, 5 * MiB + HISTORY.length, [], 0],
  ]);
  assert.equal(names.length, 6);
});

Deno.test("verifyWal() checks only the timeline and the segments that are asked for", async () => {
  const store = await archive();
  const [first, last] = [segmentName(1, 6, MiB), segmentName(1, 7, MiB)];
  const count = async (options: object) =>
    (await verifyWal(store, { place: PLACE, ...options })).objects;
  assert.equal(await count({ timeline: 1 }), 4);
  assert.equal(await count({ timeline: 2 }), 2); // with its history
  assert.equal(await count({ timeline: 1, from: first }), 3);
  assert.equal(await count({ timeline: 1, from: first, to: last }), 2);
});

Deno.test("verifyWal() names every segment that is not its own content", async () => {
  const store = await archive();
  const { name, bytes } = makeSegment({ timeline: 1, number: 9 });
  await push(store, name, bytes, { asIf: segmentName(1, 10, MiB) });
  const foreign = makeSegment({ timeline: 1, number: 11, systemIdentifier: "42" });
  await push(store, foreign.name, foreign.bytes);
  const found = await reasons(store);
  assert.equal(found.length, 2);
  assert.match(found[0]!, /^00000001000000000000000A\.zst: .*holds another segment's content/);
  assert.match(found[1]!, /^00000001000000000000000B\.zst: .*belongs to system 42/);
});

Deno.test("verifyWal() compares what it read with what was recorded and listed", async () => {
  const store = new MemoryStore();
  const [one, other] = [makeSegment({ number: 5 }), makeSegment({ number: 5, seed: 2 })];
  const key = await push(store, one.name, one.bytes);
  const { metadata = {} } = (await store.head(key))!;
  await push(store, other.name, other.bytes); // sound in itself, and not what was stored
  const whole = await new Response(await store.get(key)).bytes();
  await store.put(key, whole, { metadata });
  assert.match((await reasons(store)).join(), /has SHA-256 [0-9a-f]{64}, [0-9a-f]{64} was stored$/);
  await store.put(key, whole, { metadata: { ...metadata, "raw-bytes": "1048577" } });
  assert.match((await reasons(store)).join(), /holds 1048576 bytes, 1048577 were stored$/);
  const list = store.list.bind(store);
  store.list = async function* (prefix: string) {
    for await (const info of list(prefix)) yield { ...info, size: info.size + 1 };
  };
  assert.match((await reasons(store)).join(), /has \d+ stored bytes, \d+ were listed$/);
});

Deno.test("verifyWal() finds a changed history file, which has no blocks", async () => {
  const store = await archive();
  const key = "main/" + TEST_SYSTEM + "/wal/00000002.history";
  const { metadata = {} } = (await store.head(key))!;
  const changed = HISTORY.slice();
  changed[2]! ^= 1;
  await store.put(key, changed, { metadata });
  assert.match((await reasons(store)).join(), /^00000002\.history: .* has SHA-256/);
});

Deno.test("verifyWal() counts what lost its metadata, and still checks its form", async () => {
  const store = new MemoryStore();
  const { name, bytes } = makeSegment({ timeline: 1, number: 5 });
  await push(store, name, bytes, { metadata: false });
  const report = await verifyWal(store, { place: PLACE });
  assert.deepEqual([report.withoutDigest, report.damaged], [1, []]);
});

Deno.test("verifyWal() finds every changed, missing and added byte (fast-check)", async () => {
  const { name, bytes } = makeSegment({ timeline: 1, number: 5 });
  crypto.getRandomValues(bytes.subarray(8192, 8192 + 65_536));
  const store = new MemoryStore();
  const key = await push(store, name, bytes);
  const [{ metadata = {} } = {}, good] = [
    await store.head(key),
    await new Response(await store.get(key)).bytes(),
  ];
  const damage = fc.oneof(
    fc.record({ kind: fc.constant("flip"), at: fc.nat({ max: good.length - 1 }) }),
    fc.record({ kind: fc.constant("cut"), at: fc.nat({ max: good.length - 1 }) }),
    fc.record({ kind: fc.constant("add"), at: fc.integer({ min: 1, max: 40 }) }),
  );
  await fc.assert(
    fc.asyncProperty(damage, async ({ kind, at }) => {
      const bad = kind === "cut"
        ? good.slice(0, at)
        : new Uint8Array(good.length + (kind === "add" ? at : 0));
      if (kind !== "cut") bad.set(good);
      if (kind === "flip") bad[at]! ^= 1 << (at % 8);
      await store.put(key, bad, { metadata });
      assert.equal((await reasons(store)).length, 1);
    }),
    { numRuns: 150 },
  );
});

Deno.test("verifyWal() fails, and blames no segment, when the store goes away", async () => {
  const store = await archive();
  store.get = () => Promise.reject(new StorageError("gone"));
  await assert.rejects(verifyWal(store, { place: PLACE }), StorageError);
});

Deno.test("verifyWal() finds an object that goes away meanwhile", async () => {
  const store = await archive();
  const get = store.get.bind(store);
  store.get = async (key, options) => {
    if (key.includes("000000020000")) await store.delete([key]);
    return await get(key, options);
  };
  assert.match((await reasons(store)).join(), /^000000020000.*does not exist$/);
});
