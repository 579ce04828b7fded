/** What a removal looks at before every request, and in which order it goes. */
import assert from "node:assert/strict";
import type { Clock } from "../../../../src/domain/clock.ts";
import { LeaseLostError } from "../../../../src/domain/errors.ts";
import { parseRetentionPolicy } from "../../../../src/domain/retention_policy.ts";
import { PruneEngine } from "../../../../src/engine/retention/prune_engine.ts";
import { MemoryStore } from "../../../../src/storage/memory.ts";
import type { DeleteOptions } from "../../../../src/storage/storage.ts";
import { HistoryWorld } from "../../../support/retention/history_world.ts";
import { pruneParts, storeWorld } from "../../../support/retention/stored_world.ts";
import { storeWith } from "../../../support/wal_rig.ts";

const HOUR_MS = 3_600_000;

/** A clock that leaps when it is told to, as for a process that was suspended. */
class LeapingClock implements Clock {
  #leaptMs = 0;

  leap(): void {
    this.#leaptMs += HOUR_MS;
  }

  now(): Date {
    return new Date(Date.now() + this.#leaptMs);
  }

  monotonic(): number {
    return performance.now() + this.#leaptMs;
  }
}

/** Prunes three of four backups; `remove` stands in for the store's. */
async function prune(
  clock: Clock,
  remove: (
    keys: readonly string[],
    options: DeleteOptions,
    memory: MemoryStore,
  ) => Promise<void>,
): Promise<MemoryStore> {
  const world = new HistoryWorld();
  for (let serial = 0; serial < 4; serial++) {
    world.play({ what: "full", segments: 1 });
    world.play({ what: "pass", hours: 24, segments: 2 });
  }
  const memory = new MemoryStore();
  await storeWorld(world, memory, "main");
  const store = storeWith(memory, {
    delete: (keys, options = {}) =>
      keys.some((key) => key.includes("/backups/"))
        ? remove(keys, options, memory)
        : memory.delete(keys, options),
  });
  const options = { policy: parseRetentionPolicy("last-retain=1"), force: true };
  await new PruneEngine(pruneParts(store, { cluster: "main", clock })).run(options);
  return memory;
}

Deno.test("a removal that was suspended between two requests sends no other", async () => {
  const clock = new LeapingClock();
  let requests = 0;
  const pruning = prune(clock, async (keys, _guarded, memory) => {
    requests += 1;
    await memory.delete(keys);
    clock.leap();
  });
  await assert.rejects(pruning, LeaseLostError);
  assert.equal(requests, 1);
});

Deno.test("a removal that was suspended while its store tries again removes nothing more", async () => {
  const clock = new LeapingClock();
  const removed: string[] = [];
  const pruning = prune(clock, async (keys, { guard }, memory) => {
    clock.leap(); // and only now the request goes out again
    guard?.();
    removed.push(...keys);
    await memory.delete(keys);
  });
  await assert.rejects(pruning, LeaseLostError);
  assert.deepEqual(removed, []);
});

Deno.test("a removal takes backup.json away before anything else of a backup", async () => {
  const requests: (readonly string[])[] = [];
  await prune(new LeapingClock(), async (keys, options, memory) => {
    requests.push(keys);
    await memory.delete(keys, options);
  });
  const folders = new Map<string, readonly string[]>();
  for (const keys of requests) {
    const [folder] = /^.*\/backups\/[^/]+\//.exec(keys[0]!)!;
    if (!folders.has(folder)) folders.set(folder, keys);
  }
  assert.equal(folders.size, 3);
  for (const [folder, first] of folders) assert.deepEqual(first, [`${folder}backup.json`]);
});
