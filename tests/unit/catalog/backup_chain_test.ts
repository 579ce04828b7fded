import assert from "node:assert/strict";
import { backupChain, type BackupManifest, wholeChains } from "../../../src/catalog/catalog.ts";
import { IntegrityError } from "../../../src/domain/errors.ts";
import { sampleManifest, samplePhysical } from "../../support/manifests.ts";

const full = samplePhysical({ id: "20261122T020000Z-F", startLsn: "0/1000028" });
const first = increment("20261122T030000Z-I", full.id, "0/2000028");
const second = increment("20261122T040000Z-I", first.id, "0/3000028");

function increment(id: string, parentId: string, startLsn: string): BackupManifest {
  return samplePhysical({ id, parentId, startLsn, kind: "incremental" });
}

Deno.test("backupChain() puts the full backup first, whatever the order of the others", () => {
  assert.deepEqual(backupChain(second, [second, first, full]), [full, first, second]);
  assert.deepEqual(backupChain(full, []), [full]);
});

const refused: readonly (readonly [string, RegExp, readonly BackupManifest[]])[] = [
  ["a parent that is missing", /-F, which .*030000Z-I is on top of, is missing/, [first]],
  ["a parent of another system", /is missing/, [first, { ...full, systemIdentifier: "1" }]],
  ["a logical parent", /is no physical backup/, [first, {
    ...sampleManifest({ id: full.id }),
    systemIdentifier: full.systemIdentifier,
  }]],
  ["a parent of another version", /is of PostgreSQL 14/, [first, {
    ...full,
    postgresVersion: 140_009,
  }]],
  ["a parent that began later", /began later/, [first, { ...full, startLsn: "0/2000029" }]],
  ["a circle", /leads back to itself/, [
    { ...first, parentId: second.id, startLsn: second.startLsn },
    second,
  ]],
];
for (const [what, message, others] of refused) {
  Deno.test(`backupChain() refuses ${what}`, () => {
    assert.throws(
      () => backupChain(second, others),
      (error) => error instanceof IntegrityError && message.test(error.message),
    );
  });
}

Deno.test("wholeChains() leaves out increments whose chain is broken, and nothing else", () => {
  const logical = sampleManifest();
  assert.deepEqual(wholeChains([full, first, second, logical]), [full, first, second, logical]);
  assert.deepEqual(wholeChains([full, second, logical]), [full, logical]);
  assert.deepEqual(wholeChains([first, second]), []);
});
