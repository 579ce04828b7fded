import assert from "node:assert/strict";
import { ledgerKey, ScheduleLedger } from "../../../src/service/service.ts";
import type { EntryState } from "../../../src/service/schedule/schedule_entry.ts";
import { DirectoryStore } from "../../../src/storage/directory.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import type { ObjectStore } from "../../../src/storage/storage.ts";
import { campaignSeed, FULL_FAULTS, reportCampaign, trials } from "../../support/campaign.ts";
import { startS3 } from "../../support/storage/s3_rig.ts";

const ROUNDS = trials({ full: 2_000, usual: 60 });

interface Place extends AsyncDisposable {
  readonly store: ObjectStore;
}

const places: readonly (readonly [name: string, open: (seed: number) => Promise<Place>])[] = [
  ["memory", () => Promise.resolve({ store: new MemoryStore(), [Symbol.asyncDispose]: nothing })],
  ["a folder", async () => {
    const path = await Deno.makeTempDir();
    const store = new DirectoryStore(path);
    return { store, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
  }],
  ["S3", () => Promise.resolve(startS3())],
  ["S3 that loses answers, refuses and repeats", (seed) => {
    const rig = startS3({ server: { seed } });
    const put = { method: "PUT", key: /schedule\.json/ };
    rig.server.fail({ ...put, probability: 0.2 }, { kind: "lost answer" });
    rig.server.fail({ ...put, probability: 0.1 }, { kind: "twice" });
    rig.server.fail({ ...put, probability: 0.1 }, { kind: "refused" });
    rig.server.fail({ ...put, probability: 0.1 }, { kind: "error", status: 503, code: "SlowDown" });
    return Promise.resolve(rig);
  }],
];

function nothing(): Promise<void> {
  return Promise.resolve();
}

/** A clock of its own for each daemon: hosts' clocks do not agree. */
function ledgerOf(store: ObjectStore, host: string, clock = { steady: 0 }): ScheduleLedger {
  return new ScheduleLedger(store, {
    ...{ cluster: "main", host, process: { pid: 1 } },
    clock: { now: () => new Date(1.8e12 + clock.steady), monotonic: () => clock.steady },
    isAlive: () => Promise.resolve(true),
  });
}

function countOf(states: ReadonlyMap<string, EntryState>): number {
  return Date.parse(states.get("count")?.due ?? "1970-01-01T00:00:00.000Z");
}

function counted(states: ReadonlyMap<string, EntryState>): ReadonlyMap<string, EntryState> {
  return new Map([["count", { due: new Date(countOf(states) + 1).toISOString() }]]);
}

for (const [name, open] of places) {
  Deno.test(`ScheduleLedger has one leader, who hands over, in ${name}`, async () => {
    await using place = await open(1);
    const [a, b] = [ledgerOf(place.store, "a"), ledgerOf(place.store, "b")];
    while (!await a.attend());
    assert.equal(await b.attend(), false);
    assert.equal(b.holder, "a/1");
    while (!await a.save(counted(a.states))) while (!await a.attend());
    await a.release();
    while (!await b.attend());
    assert.ok(countOf(b.states) >= 1);
    assert.equal(await a.save(counted(a.states)), false);
  });

  Deno.test(`ScheduleLedger loses nothing that a leader has kept, in ${name} (${ROUNDS} rounds)`, async () => {
    const seed = FULL_FAULTS ? campaignSeed() : 1;
    await using place = await open(seed);
    const clocks = [0, 1, 2].map(() => ({ steady: 0 }));
    const daemons = clocks.map((clock, index) => ledgerOf(place.store, `h${index}`, clock));
    let kept = 0;
    for (let round = 0; round < ROUNDS; round++) {
      // One of them sleeps longer than its lease now and then, and wakes up believing in it.
      clocks[round % 3]!.steady += round % 5 === 0 ? 130_000 : 10_000;
      // Not all attend each time: one may still believe in a lease that another one has by now.
      const awake = daemons.filter((_, index) => (round * 7 + index * 3) % 4 !== 0);
      await Promise.all(awake.map((daemon) => daemon.attend().catch(() => false)));
      const results = await Promise.all(
        daemons.map((daemon) => daemon.save(counted(daemon.states)).catch(() => undefined)),
      );
      const successes = results.filter((result) => result === true).length;
      assert.ok(
        successes <= 1,
        `${successes} daemons kept at once in round ${round}, seed ${seed}`,
      );
      kept += successes;
    }
    const text = await new Response(await place.store.get(ledgerKey("main"))).text();
    const count = Date.parse(JSON.parse(text).entries.count.due);
    // A put whose answer never came may have been kept without the daemon's knowing.
    if (name.includes("loses")) assert.ok(count >= kept, `${count} of ${kept}, seed ${seed}`);
    else assert.equal(count, kept);
    assert.ok(kept > ROUNDS / 3, `only ${kept} were kept`);
    const figures = { what: `the schedule's ledger in ${name}`, n: ROUNDS, seed };
    if (FULL_FAULTS) reportCampaign({ ...figures, outcome: `${kept} kept, ${count} written` });
  });
}

Deno.test("ScheduleLedger begins nothing on an object that it cannot read", async () => {
  const store = new MemoryStore();
  await store.put(ledgerKey("main"), new TextEncoder().encode('{"schema":"backupctl.schedule/2"}'));
  await assert.rejects(ledgerOf(store, "a").attend(), { name: "RepositoryError" });
});
