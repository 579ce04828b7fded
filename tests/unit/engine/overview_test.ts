import assert from "node:assert/strict";
import { openRepository } from "../../../src/catalog/repository.ts";
import { MiB } from "../../../src/domain/bytes.ts";
import { readOverview } from "../../../src/engine/overview.ts";
import { FULL_FAULTS } from "../../support/wal_rig.ts";
import { type VastOptions, vastStore } from "../../support/vast_store.ts";

async function overviewOf(options: VastOptions) {
  const store = vastStore(options);
  const repository = openRepository(store, { cluster: "main" });
  const begun = performance.now();
  const found = await readOverview(store, { repository, now: new Date(store.begin) });
  return { found, store, milliseconds: performance.now() - begun };
}

/** The greatest heap of this process while `work` runs. */
async function heapPeak<T>(work: () => Promise<T>): Promise<readonly [T, number]> {
  let peak = 0;
  const timer = setInterval(() => peak = Math.max(peak, Deno.memoryUsage().heapUsed), 20);
  try {
    return [await work(), Math.max(peak, Deno.memoryUsage().heapUsed)];
  } finally {
    clearInterval(timer);
  }
}

Deno.test("readOverview() sees a vast repository in bounded memory and few requests", async () => {
  const options = FULL_FAULTS
    ? { backups: 10_000, segments: 1_000_000, increments: 6 }
    : { backups: 3000, segments: 150_000, increments: 6 };
  const before = Deno.memoryUsage().heapUsed;
  const [{ found, store, milliseconds }, peak] = await heapPeak(() => overviewOf(options));
  const { report } = found.archive!;
  console.log(
    `${options.backups} backups, ${options.segments} segments: ${Math.round(milliseconds)} ms, ` +
      `${Math.round((peak - before) / MiB)} MiB, ${store.requests.list} listings`,
  );
  assert.equal(found.backups.length, options.backups);
  assert.equal(report.segments, options.segments);
  assert.deepEqual(report.windows.map(({ backupIds }) => backupIds.length), [options.backups]);
  assert.deepEqual(found.storage.map(({ kind, count }) => [kind, count]), [
    ["physical", Math.ceil(options.backups / 7)],
    ["incremental", options.backups - Math.ceil(options.backups / 7)],
    ["wal", options.segments],
  ]);
  assert.ok(
    peak - before < (FULL_FAULTS ? 256 : 128) * MiB,
    `${Math.round((peak - before) / MiB)} MiB`,
  );
  const pages = (options.segments + options.backups * 4) / 1000;
  assert.ok(store.requests.list < pages + 10, `${store.requests.list} listings`);
});

Deno.test("readOverview() leaves the objects of manifests out of memory", async () => {
  const { found } = await overviewOf({ backups: 3, segments: 10 });
  assert.deepEqual(found.backups.map(({ objects }) => objects.length), [0, 0, 0]);
});

Deno.test("readOverview() stays quick with as many gaps as backups", async () => {
  const options = { backups: 2000, segments: 20_000, gapEvery: 10 };
  const { found, milliseconds } = await overviewOf(options);
  assert.equal(found.archive!.report.gaps.length, 1999);
  assert.ok(milliseconds < 20_000, `${Math.round(milliseconds)} ms`);
});
