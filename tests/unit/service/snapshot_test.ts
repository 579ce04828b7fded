import assert from "node:assert/strict";
import { openRepository } from "../../../src/catalog/repository.ts";
import { systemClock } from "../../../src/domain/clock.ts";
import { PostgresError } from "../../../src/domain/errors.ts";
import { gatherSnapshot, SnapshotKeeper } from "../../../src/service/service.ts";
import { withDeadline } from "../../../src/service/with_deadline.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import { aSnapshot } from "../../support/alerts/snapshots.ts";

async function parts() {
  const store = new MemoryStore();
  const repository = openRepository(store, { cluster: "main" });
  await repository.prepare();
  return { repository, store, clock: systemClock, host: "db1", version: "0.1.0" };
}

Deno.test("gatherSnapshot() tells what answered, and what did not", async () => {
  const snapshot = await gatherSnapshot({
    ...await parts(),
    openServer: () => Promise.reject(new PostgresError("the server is away")),
    recentRuns: () => Promise.reject(new PostgresError("the index is locked")),
    disk: () => Promise.resolve({ freeBytes: 1, totalBytes: 2 }),
  });
  assert.deepEqual(snapshot.repository?.backups, []);
  assert.deepEqual(snapshot.repository?.disk, { freeBytes: 1, totalBytes: 2 });
  assert.equal(snapshot.server, undefined);
  assert.deepEqual(snapshot.problems.toSorted((a, b) => a.part < b.part ? -1 : 1), [
    { part: "runs", message: "the index is locked" },
    { part: "server", message: "the server is away" },
  ]);
});

Deno.test("gatherSnapshot() does not hide a bug", async () => {
  const broken = {
    ...await parts(),
    recentRuns: () => Promise.reject(new TypeError("x is not y")),
  };
  await assert.rejects(gatherSnapshot(broken), TypeError);
});

Deno.test("gatherSnapshot() says that there is no repository before the first backup", async () => {
  const store = new MemoryStore();
  const repository = openRepository(store, { cluster: "main" });
  const snapshot = await gatherSnapshot({ ...await parts(), store, repository });
  assert.match(snapshot.problems[0]?.message ?? "", /there is no repository/);
});

Deno.test("SnapshotKeeper tells every listener, whatever one of them throws", async () => {
  const [heard, errors]: [string[], unknown[]] = [[], []];
  const keeper = new SnapshotKeeper({
    clock: systemClock,
    gather: () => Promise.resolve(aSnapshot()),
    onError: (error) => errors.push(error),
  });
  keeper.onTick(() => {
    throw new Error("first");
  });
  keeper.onTick(() => Promise.reject(new Error("second")));
  keeper.onTick(() => void heard.push("third"));
  await keeper.refresh(new AbortController().signal);
  assert.deepEqual([heard, errors.length], [["third"], 2]);
  assert.equal(keeper.latest?.cluster, "main");
});

Deno.test("SnapshotKeeper keeps the last snapshot when gathering fails", async () => {
  const errors: unknown[] = [];
  let fails = false;
  const keeper = new SnapshotKeeper({
    clock: systemClock,
    gather: () => fails ? Promise.reject(new TypeError("bug")) : Promise.resolve(aSnapshot()),
    onError: (error) => errors.push(error),
  });
  const { signal } = new AbortController();
  await keeper.refresh(signal);
  fails = true;
  await keeper.refresh(signal);
  assert.equal(keeper.latest?.cluster, "main");
  assert.equal(errors.length, 1);
});

/** What is waited for, or a failure after ten seconds. */
async function inTime(work: Promise<unknown>): Promise<void> {
  await withDeadline(() => work, { limit: 10_000, late: () => new Error("it took too long") });
}

Deno.test("SnapshotKeeper looks again soon when the repository did not answer", async () => {
  let steady = 0;
  const third = Promise.withResolvers<void>();
  const controller = new AbortController();
  const answers = [aSnapshot(), aSnapshot({ repository: undefined })];
  let gathered = 0;
  const keeper = new SnapshotKeeper({
    clock: { now: () => new Date(0), monotonic: () => steady },
    everyMs: 5,
    gather: () => {
      gathered++;
      if (gathered === 3) third.resolve();
      // A minute of waiting for a store, and of telling people by a channel that is down.
      if (gathered > 1) steady += 60_000;
      return Promise.resolve(answers[Math.min(gathered, 2) - 1]!);
    },
    onError: () => {},
  });
  keeper.onTick(() => void (steady += 60_000));
  const running = keeper.run(controller.signal);
  await inTime(third.promise);
  controller.abort();
  await running;
});

Deno.test("SnapshotKeeper looks at once when it is told to, also while it looks", async () => {
  const controller = new AbortController();
  const looks: PromiseWithResolvers<void>[] = [1, 2, 3, 4].map(() => Promise.withResolvers());
  let gathered = 0;
  const keeper = new SnapshotKeeper({
    clock: systemClock,
    everyMs: 3_600_000,
    gather: () => {
      looks[gathered++]!.resolve();
      if (gathered === 2) keeper.hurry();
      return Promise.resolve(aSnapshot());
    },
    onError: () => {},
  });
  const told = Promise.withResolvers<void>();
  keeper.onTick(() => told.resolve());
  const running = keeper.run(controller.signal);
  await told.promise;
  keeper.hurry();
  await inTime(Promise.all(looks.slice(0, 3).map(({ promise }) => promise)));
  controller.abort();
  await running;
  assert.equal(gathered, 3);
});

Deno.test("SnapshotKeeper gathers a twentieth of the time at most", async () => {
  let [steady, gathered] = [0, 0];
  const clock = { now: () => new Date(0), monotonic: () => steady };
  const controller = new AbortController();
  const keeper = new SnapshotKeeper({
    clock,
    everyMs: 5,
    gather: () => {
      gathered++;
      steady += 20; // so the next one is 380 ms away, and not 5
      return Promise.resolve(aSnapshot());
    },
    onError: () => {},
  });
  const running = keeper.run(controller.signal);
  await new Promise((resolve) => setTimeout(resolve, 100));
  controller.abort();
  await running;
  assert.equal(gathered, 1);
});
