import assert from "node:assert/strict";
import { MiB } from "../../../../src/domain/bytes.ts";
import { systemClock } from "../../../../src/domain/clock.ts";
import { RunFailedError, StorageError } from "../../../../src/domain/errors.ts";
import { parseWalName, segmentName } from "../../../../src/domain/wal.ts";
import { walKey } from "../../../../src/domain/wal_key.ts";
import { neededSegments, waitForWal } from "../../../../src/engine/recovery/wait_for_wal.ts";
import { MemoryStore } from "../../../../src/storage/memory.ts";
import { at, PLACE, SEGMENT_BYTES, walName } from "../../../support/archives.ts";

const RANGE = {
  place: PLACE,
  timeline: 1,
  startLsn: at(2, 40),
  stopLsn: at(4, 300),
  segmentBytes: SEGMENT_BYTES,
  timeout: 60_000,
  clock: systemClock,
};

async function put(store: MemoryStore, ...numbers: readonly number[]): Promise<void> {
  for (const number of numbers) {
    await store.put(walKey(PLACE, parseWalName(walName(1, number))!), new Uint8Array(1));
  }
}

const ranges = [
  { start: at(2, 40), stop: at(2, 300), names: [2] },
  { start: at(2, 40), stop: at(3), names: [2] }, // the stop is the byte behind the last one
  { start: at(2, 40), stop: at(3, 1), names: [2, 3] },
  { start: at(255, 40), stop: at(257, 1), names: [255, 256, 257] },
];
for (const { start, stop, names } of ranges) {
  Deno.test(`neededSegments() from ${start} to ${stop} are ${names}`, () => {
    assert.deepEqual(
      neededSegments({ ...RANGE, startLsn: start, stopLsn: stop }),
      names.map((number) => walName(1, number)),
    );
  });
}

Deno.test("neededSegments() counts segments of another size", () => {
  const small = { timeline: 3, startLsn: 0xfff00000n, stopLsn: 0x100100000n, segmentBytes: MiB };
  assert.deepEqual(neededSegments(small), [
    segmentName(3, 4095, MiB),
    "000000030000000100000000",
  ]);
});

Deno.test("waitForWal() returns at once when everything is there", async () => {
  const store = new MemoryStore();
  await put(store, 2, 3, 4);
  let waits = 0;
  await waitForWal(store, { ...RANGE, onWait: () => void (waits += 1) });
  assert.equal(waits, 0);
});

Deno.test("waitForWal() waits for the last segment, and no other one will do", async () => {
  const store = new MemoryStore();
  await put(store, 1, 2, 3, 5);
  const told: number[] = [];
  const onWait = (missing: number) => {
    told.push(missing);
    if (told.length === 2) void put(store, 4);
  };
  await waitForWal(store, { ...RANGE, onWait });
  assert.deepEqual(told, [1, 1]);
});

Deno.test("waitForWal() gives up when the time is up, and names what is missing", async () => {
  const store = new MemoryStore();
  await put(store, 3);
  const options = {
    ...RANGE,
    timeout: 30,
    archiver: () => Promise.resolve("4 attempts failed"),
  };
  await assert.rejects(waitForWal(store, options), (error) => {
    assert.ok(error instanceof RunFailedError);
    assert.equal(
      error.message,
      "2 WAL segments of the backup, 000000010000000000000002 to 000000010000000000000004, " +
        "are not in the repository after 0 s: 4 attempts failed",
    );
    assert.match(error.hint!, /pg_stat_archiver/);
    return true;
  });
});

Deno.test("waitForWal() does not let a silent server hide what is missing", async () => {
  const archiver = () => Promise.reject(new Error("gone"));
  await assert.rejects(
    waitForWal(new MemoryStore(), { ...RANGE, timeout: 0, archiver }),
    /3 WAL segments of the backup/,
  );
});

Deno.test("waitForWal() asks for thousands of segments in rounds", async () => {
  const store = new MemoryStore();
  const numbers = Array.from({ length: 200 }, (_, index) => index + 2);
  await put(store, ...numbers);
  let asked = 0;
  const head = store.head.bind(store);
  store.head = (key) => {
    asked += 1;
    return head(key);
  };
  await waitForWal(store, { ...RANGE, stopLsn: at(201, 1) });
  assert.equal(asked, 200);
  asked = 0;
  await assert.rejects(waitForWal(store, { ...RANGE, stopLsn: at(20_000, 1), timeout: 0 }));
  assert.ok(asked <= 64 * 5, `${asked} questions`);
});

Deno.test("waitForWal() fails when the store cannot be asked", async () => {
  const store = new MemoryStore();
  store.head = () => Promise.reject(new StorageError("gone"));
  await assert.rejects(waitForWal(store, RANGE), StorageError);
});

Deno.test("waitForWal() ends as soon as it is interrupted", async () => {
  const controller = new AbortController();
  const reason = new Error("stop");
  const onWait = () => controller.abort(reason);
  const { signal } = controller;
  await assert.rejects(waitForWal(new MemoryStore(), { ...RANGE, signal, onWait }), reason);
});
