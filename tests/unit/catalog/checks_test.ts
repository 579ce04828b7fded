import assert from "node:assert/strict";
import {
  checkFolder,
  drilledAt,
  type NewCheck,
  readChecks,
  recordCheck,
  verifiedAt,
} from "../../../src/catalog/checks.ts";
import { readVerifiedSegments } from "../../../src/catalog/wal_checks.ts";
import { listManifests } from "../../../src/catalog/list_manifests.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";

const SYSTEM = "7345678901234567890";
const ID = "20261123T022415Z-L";
const PLACE = { cluster: "main", systemIdentifier: SYSTEM };

function check(changes: Partial<NewCheck> = {}): NewCheck {
  return {
    ...PLACE,
    kind: "verified",
    subject: ID,
    outcome: "ok",
    finishedAt: new Date("2026-11-24T01:02:03.456Z"),
    details: { objects: 7 },
    ...changes,
  };
}

const at = (text: string) => ({ finishedAt: new Date(text) });

async function stateOf(...records: readonly Partial<NewCheck>[]) {
  const store = new MemoryStore();
  for (const record of records) await recordCheck(store, check(record));
  const checks = await readChecks(store, PLACE);
  return [verifiedAt(checks, ID), drilledAt(checks, ID), checks.get(ID)?.damagedAt ?? null];
}

Deno.test("recordCheck() writes a new object each time, also within one millisecond", async () => {
  const store = new MemoryStore();
  const keys = [await recordCheck(store, check()), await recordCheck(store, check())];
  assert.deepEqual(keys, [
    `main/${SYSTEM}/verified/${ID}/20261124T010203456Z-ok.json`,
    `main/${SYSTEM}/verified/${ID}/20261124T010203457Z-ok.json`,
  ]);
  const text = await new Response(await store.get(keys[0]!)).json();
  assert.deepEqual(text, {
    format: "backupctl.verified",
    version: 1,
    ...PLACE,
    subject: ID,
    outcome: "ok",
    finishedAt: "2026-11-24T01:02:03.456Z",
    objects: 7,
  });
});

Deno.test("readChecks() knows when a backup was last verified and drilled", async () => {
  assert.deepEqual(await stateOf(), [null, null, null]);
  assert.deepEqual(
    await stateOf(
      at("2026-11-24T00:00:00Z"),
      at("2026-11-26T00:00:00Z"),
      { kind: "drilled", ...at("2026-11-25T00:00:00Z") },
    ),
    ["2026-11-26T00:00:00.000Z", "2026-11-25T00:00:00.000Z", null],
  );
});

Deno.test("readChecks() takes a verification back when damage was found later", async () => {
  const damaged = { outcome: "damaged", ...at("2026-11-25T00:00:00Z") } as const;
  const found = new Date("2026-11-25T00:00:00Z");
  assert.deepEqual(await stateOf(at("2026-11-24T00:00:00Z"), damaged), [null, null, found]);
  const [verified, , damage] = await stateOf(damaged, at("2026-11-26T00:00:00Z"));
  assert.deepEqual([verified, damage], ["2026-11-26T00:00:00.000Z", null]);
});

Deno.test("readChecks() does not take a sample for the whole", async () => {
  assert.deepEqual(await stateOf({ outcome: "sampled" }), [null, null, null]);
});

Deno.test("readChecks() leaves out what is no check of a backup", async () => {
  const store = new MemoryStore();
  await recordCheck(store, check({ subject: "wal" }));
  for (const name of [`${ID}/x.json`, `${ID}/20261399T010203456Z-ok.json`, "loose.json"]) {
    await store.put(`main/${SYSTEM}/verified/${name}`, new Uint8Array(1));
  }
  assert.equal((await readChecks(store, PLACE)).size, 0);
});

Deno.test("checks stand where no manifest is looked for", async () => {
  const store = new MemoryStore();
  await recordCheck(store, check());
  await store.put(`${checkFolder(check())}backup.json`, new Uint8Array(1));
  assert.deepEqual(await Array.fromAsync(listManifests(store, "main")), []);
});

Deno.test("readVerifiedSegments() reads the newest check, and nothing from a broken one", async () => {
  const store = new MemoryStore();
  assert.equal(await readVerifiedSegments(store, PLACE), undefined);
  const segments = [{ timeline: 1, first: 3, last: 9 }];
  const details = { segmentBytes: 1_048_576, segments };
  await recordCheck(store, check({ subject: "wal", details: { ...details, segments: [] } }));
  await recordCheck(store, check({ subject: "wal", details, ...at("2026-11-25T00:00:00Z") }));
  const found = await readVerifiedSegments(store, PLACE);
  assert.deepEqual(found, { segmentBytes: 1_048_576, ranges: segments });
  for (const bad of [{ segments }, { ...details, segmentBytes: 3 }, { ...details, segments: 7 }]) {
    await recordCheck(
      store,
      check({ subject: "wal", details: bad, ...at("2027-01-01T00:00:00Z") }),
    );
    assert.equal(await readVerifiedSegments(store, PLACE), undefined);
  }
});
