import assert from "node:assert/strict";
import { MiB } from "../../../../src/domain/bytes.ts";
import { formatLsn } from "../../../../src/domain/lsn.ts";
import { parseWalName, segmentName } from "../../../../src/domain/wal.ts";
import { walKey } from "../../../../src/domain/wal_key.ts";
import {
  verifyArchive,
  type VerifyArchiveOptions,
} from "../../../../src/engine/verify/verify_archive.ts";
import { MemoryStore } from "../../../../src/storage/memory.ts";
import { samplePhysical } from "../../../support/manifests.ts";
import { encodedWal } from "../../../support/wal_rig.ts";
import { makeSegment, TEST_SYSTEM } from "../../../support/wal_segments.ts";

const PLACE = { cluster: "main", systemIdentifier: TEST_SYSTEM };
const [EARLY, LATE] = ["20261101T000000Z-F", "20261102T000000Z-F"] as const;

function backup(id: string, [from, to]: readonly [number, number]) {
  return samplePhysical({
    id,
    systemIdentifier: TEST_SYSTEM,
    timeline: 1,
    walSegmentBytes: MiB,
    startLsn: formatLsn(BigInt(from * MiB + 40)),
    stopLsn: formatLsn(BigInt(to * MiB + 4000)),
  });
}

/** Segments 2 to 12; backups in 4 to 5 and in 8. */
async function world() {
  const store = new MemoryStore();
  for (let number = 2; number <= 12; number++) {
    const { name, bytes } = makeSegment({ timeline: 1, number });
    const encoded = await encodedWal(parseWalName(name)!, bytes);
    await store.put(keyOf(number), encoded.stored, { metadata: encoded.metadata });
  }
  const backups = [backup(EARLY, [4, 5]), backup(LATE, [8, 8])];
  const read: string[] = [];
  const verify = (options: Partial<VerifyArchiveOptions> = {}) =>
    verifyArchive(store, {
      ...{ place: PLACE, backups, onChecked: (name) => void read.push(name), ...options },
    });
  return { store, verify, read };
}

function keyOf(number: number): string {
  return walKey(PLACE, parseWalName(segmentName(1, number, MiB))!);
}

const names = (numbers: readonly number[]) => numbers.map((number) => segmentName(1, number, MiB));

Deno.test("verifyArchive() reads the windows, from where the first backup begins", async () => {
  const { verify, read } = await world();
  const found = await verify();
  assert.deepEqual(read.toSorted(), names([4, 5, 6, 7, 8, 9, 10, 11, 12]));
  assert.deepEqual(found.faults, []);
  assert.deepEqual(found.verified, [{ timeline: 1, first: 4, last: 12 }]);
});

Deno.test("verifyArchive() names the backups that cannot be rolled forward past the damage", async () => {
  const { store, verify } = await world();
  await store.put(keyOf(7), new Uint8Array(50));
  await store.put(keyOf(9), new Uint8Array(50));
  const found = await verify();
  assert.deepEqual(found.faults.map(({ key, stopped }) => [key, stopped]), [
    [keyOf(7), [EARLY]],
    [keyOf(9), [EARLY, LATE]],
  ]);
  assert.deepEqual(found.verified, [
    { timeline: 1, first: 4, last: 6 },
    { timeline: 1, first: 8, last: 8 },
    { timeline: 1, first: 10, last: 12 },
  ]);
});

Deno.test("verifyArchive() finds what is missing between the segments", async () => {
  const { store, verify } = await world();
  await store.delete([keyOf(6), keyOf(7), keyOf(10)]);
  const found = await verify();
  assert.deepEqual(found.faults.map(({ key, reason, stopped }) => ({ key, reason, stopped })), [
    { key: names([6, 7]).join(" to "), reason: "are missing", stopped: [EARLY] },
    { key: names([10])[0], reason: "is missing", stopped: [EARLY, LATE] },
  ]);
});

Deno.test("verifyArchive() leaves out what was right before, and reads what was not", async () => {
  const { store, verify, read } = await world();
  await store.put(keyOf(7), new Uint8Array(50));
  const { verified: ranges, segmentBytes } = await verify();
  read.length = 0;
  const again = await verify({ verified: { ranges, segmentBytes } });
  assert.deepEqual(read, names([7]));
  assert.equal(again.faults.length, 1);
  assert.deepEqual(again.verified, ranges);
  read.length = 0;
  await verify({ verified: { ranges, segmentBytes: 16 * MiB } });
  assert.equal(read.length, 9, "other segments have those numbers");
});

Deno.test("verifyArchive() reads a sample by lot", async () => {
  const { verify, read } = await world();
  let turn = 0;
  const found = await verify({ sample: 0.5, random: () => turn++ % 3 === 0 ? 0.4 : 0.6 });
  assert.deepEqual(read.toSorted(), names([4, 7, 10]));
  assert.deepEqual(found.verified.length, 3);
});
