/** A repository of a million segments: what a removal holds of it does not grow with them. */
import assert from "node:assert/strict";
import { ObjectMissingError } from "../../../../src/domain/errors.ts";
import { parseRetentionPolicy } from "../../../../src/domain/retention_policy.ts";
import { segmentName } from "../../../../src/domain/wal.ts";
import { PruneEngine } from "../../../../src/engine/retention/prune_engine.ts";
import { MemoryStore } from "../../../../src/storage/memory.ts";
import type { ObjectInfo, ObjectStore } from "../../../../src/storage/storage.ts";
import { HistoryWorld } from "../../../support/retention/history_world.ts";
import { pruneParts, storeWorld } from "../../../support/retention/stored_world.ts";
import { FULL_FAULTS, reportCampaign, trials } from "../../../support/campaign.ts";
import { storeWith } from "../../../support/wal_rig.ts";

const SEGMENTS = trials({ full: 1_000_000, usual: 100_000 });
const MiB = 1024 * 1024;
const SYSTEM = "7000000000000000000";
const FOLDER = `main/${SYSTEM}/wal/00000001/`;

/** Adds segments that are nowhere, in the order of their keys; remembers how far they are gone. */
function withManySegments(
  store: MemoryStore,
  onListed: () => void,
): { store: ObjectStore; removed: () => number } {
  const gone = new Set<number>();
  let lowest = 1;
  const keyOf = (number: number) => {
    const name = segmentName(1, number, MiB);
    return `${FOLDER}${name.slice(8, 16)}/${name}.zst`;
  };
  const numberOf = (key: string) => {
    const name = key.split("/").at(-1)!;
    return Number.parseInt(name.slice(8, 16), 16) * 4096 + Number.parseInt(name.slice(16, 24), 16);
  };
  const isSegment = (key: string) => key.startsWith(FOLDER);
  const now = new Date();
  function* segments(startAfter: string | undefined): Generator<ObjectInfo> {
    const first = startAfter !== undefined && isSegment(startAfter) ? numberOf(startAfter) + 1 : 1;
    for (let number = Math.max(first, lowest); number <= SEGMENTS; number++) {
      if (number % 10_000 === 0) onListed();
      if (!gone.has(number)) yield { key: keyOf(number), size: 10, lastModified: now };
    }
  }
  return {
    removed: () => lowest - 1 + gone.size,
    store: storeWith(store, {
      async *list(prefix, options = {}) {
        const isIn = prefix === "main/" || FOLDER.startsWith(prefix) || prefix === FOLDER;
        const { startAfter } = options;
        let told = !isIn || (startAfter !== undefined && startAfter > `${FOLDER}~`);
        for await (const info of store.list(prefix, options)) {
          if (!told && info.key > FOLDER) {
            told = true;
            yield* segments(startAfter);
          }
          yield info;
        }
        if (!told) yield* segments(startAfter);
      },
      async delete(keys, options) {
        for (const key of keys.filter(isSegment)) gone.add(numberOf(key));
        while (gone.delete(lowest)) lowest += 1;
        await store.delete(keys.filter((key) => !isSegment(key)), options);
      },
      get: (key, options) => {
        if (isSegment(key)) return Promise.reject(new ObjectMissingError(key));
        return store.get(key, options);
      },
    }),
  };
}

Deno.test(`a removal from ${SEGMENTS} segments holds a few pieces`, async () => {
  const world = new HistoryWorld();
  world.play({ what: "full", segments: 1 });
  world.play({ what: "pass", hours: 24, segments: SEGMENTS - 100 });
  world.play({ what: "full", segments: 1 });
  world.current.wal.clear();
  const memory = new MemoryStore();
  await storeWorld(world, memory, "main");
  let most = 0;
  const { store, removed } = withManySegments(memory, () => {
    most = Math.max(most, Deno.memoryUsage().heapUsed);
  });
  const parts = pruneParts(store, { cluster: "main", batchKeys: 1000 });
  const before = Deno.memoryUsage().heapUsed;
  const policy = parseRetentionPolicy("last-retain=1");
  const report = (await new PruneEngine(parts).run({ policy }))!;
  assert.ok(report.removal.wal.length < 10, `${report.removal.wal.length} pieces`);
  assert.equal(report.removedSegments, removed());
  assert.ok(removed() > SEGMENTS * 0.99, `${removed()} segments were removed`);
  const grown = (most - before) / MiB;
  const outcome = `the heap grew by ${grown.toFixed(0)} MiB`;
  if (FULL_FAULTS) {
    reportCampaign({ what: "prune: segments listed", n: SEGMENTS, seed: 0, outcome });
  }
  assert.ok(grown < 150, `the heap grew by ${grown.toFixed(0)} MiB`);
});
