import assert from "node:assert/strict";
import type { HeldLease, LeaseTiming } from "../../../src/catalog/held_lease.ts";
import { listLeases } from "../../../src/catalog/lease_list.ts";
import { leaseKey, PRUNE_LEASE } from "../../../src/catalog/lease_record.ts";
import { Leases } from "../../../src/catalog/leases.ts";
import { type Clock, systemClock } from "../../../src/domain/clock.ts";
import { LeaseHeldError, LeaseLostError, StorageError } from "../../../src/domain/errors.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import type { ObjectStore } from "../../../src/storage/storage.ts";
import { storeWith } from "../../support/wal_rig.ts";

const SYSTEM = "7345678901234567890";
const TIMING: LeaseTiming = { durationMs: 60_000, graceMs: 0 };

/** Goes on with the machine's clock, and may be put forward. */
class PushedClock implements Clock {
  wall = 0;
  monotonically = 0;
  now() {
    return new Date(systemClock.now().getTime() + this.wall);
  }
  monotonic() {
    return systemClock.monotonic() + this.monotonically;
  }
}

function leasesOn(
  store: ObjectStore,
  { host = "db1", clock = systemClock, timing = TIMING }: {
    readonly host?: string;
    readonly clock?: Clock;
    readonly timing?: LeaseTiming;
  } = {},
): Leases {
  return new Leases(store, { cluster: "main", holder: { host, pid: 7 }, clock, timing });
}

/** A store that says of every object that it is so many milliseconds older. */
function agingStore(store: ObjectStore, age: () => number): ObjectStore {
  return storeWith(store, {
    async *list(...args) {
      for await (const info of store.list(...args)) {
        yield {
          ...info,
          lastModified: new Date(info.lastModified!.getTime() - age()),
        };
      }
    },
  });
}

const needs = (backups: readonly string[], walFrom: number | null = null) => ({
  ...{ systemIdentifier: SYSTEM, backups, walFrom },
});

Deno.test("Leases.exclude() names the holder when another removal is under way", async () => {
  const store = new MemoryStore();
  await using _held = await leasesOn(store, { host: "db7" }).exclude({ what: "removal" });
  await assert.rejects(leasesOn(store).exclude({ what: "removal" }), (error) => {
    assert.ok(error instanceof LeaseHeldError);
    assert.equal(error.exitCode, 11);
    assert.match(error.message, /removal on host db7 \(process 7\)/);
    return true;
  });
});

Deno.test("Leases.exclude() lets one of many win, with a number that only grows", async () => {
  const store = new MemoryStore();
  const tokens: number[] = [];
  for (let round = 0; round < 5; round++) {
    const tries = await Promise.allSettled(
      Array.from({ length: 8 }, () => leasesOn(store).exclude({ what: "removal" })),
    );
    const won = tries.filter((one) => one.status === "fulfilled").map(({ value }) => value);
    assert.equal(won.length, 1);
    tokens.push(won[0]!.fencingToken);
    await won[0]!.renew();
    await won[0]!.release({ keepCount: true });
  }
  assert.deepEqual(tokens, tokens.toSorted((a, b) => a - b));
  assert.equal(new Set(tokens).size, 5);
});

Deno.test("Leases.exclude() takes over what ran out by the store's clock, and no earlier", async () => {
  const memory = new MemoryStore();
  let age = 0;
  const store = agingStore(memory, () => age);
  const first = await leasesOn(store).exclude({ what: "removal" });
  age = TIMING.durationMs - 1000;
  await assert.rejects(leasesOn(store).exclude({ what: "removal" }), LeaseHeldError);
  age = TIMING.durationMs + 1000;
  const second = await leasesOn(store).exclude({ what: "removal" });
  assert.ok(second.fencingToken > first.fencingToken);
  first.check(); // by its own clock it is young
  await assert.rejects(first.renew(), LeaseLostError);
  assert.throws(() => first.check(), LeaseLostError);
  assert.ok(first.signal.reason instanceof LeaseLostError);
  await first.release();
  second.check();
  await second.renew();
  await second.release();
});

Deno.test("Leases.exclude() loses when others came and went on since it looked", async () => {
  const store = new MemoryStore();
  await (await leasesOn(store).exclude({ what: "removal" })).release({ keepCount: true });
  const others: HeldLease[] = [];
  const late = storeWith(store, {
    async put(key, body, options) {
      if (others.length === 0) { // it has looked; now another one comes, and renews its lease
        others.push(await leasesOn(store).exclude({ what: "the other removal" }));
        for (let round = 0; round < 4; round++) await others[0]!.renew();
        assert.equal(await store.head(key), undefined, "the number is free again");
      }
      return await store.put(key, body, options);
    },
  });
  await assert.rejects(leasesOn(late).exclude({ what: "removal" }), /the other removal/);
  await others[0]!.renew();
  await others[0]!.release();
});

Deno.test("Leases.exclude() does not trust this machine's clock", async () => {
  const store = new MemoryStore();
  await using _held = await leasesOn(store).exclude({ what: "removal" });
  const clock = new PushedClock();
  clock.wall = 10 * TIMING.durationMs;
  await assert.rejects(leasesOn(store, { clock }).exclude({ what: "removal" }), LeaseHeldError);
});

for (const which of ["wall", "monotonically"] as const) {
  Deno.test(`HeldLease.check() throws after a suspension that the ${which} clock tells`, async () => {
    const clock = new PushedClock();
    const lease = await leasesOn(new MemoryStore(), { clock }).exclude({ what: "removal" });
    lease.check();
    clock[which] = TIMING.durationMs;
    assert.throws(() => lease.check(), LeaseLostError);
    await assert.rejects(lease.confirm(), LeaseLostError);
    await lease.release();
  });
}

Deno.test("HeldLease.release() of a lost lease leaves the other one's alone", async () => {
  const store = new MemoryStore();
  const clock = new PushedClock();
  const lost = await leasesOn(store, { clock }).exclude({ what: "removal" });
  clock.wall = TIMING.durationMs;
  await lost.release({ keepCount: true });
  const [still] = await listLeases(store, "main");
  assert.equal(still?.number, 1, "nothing was written after the loss");
});

Deno.test("HeldLease is renewed by itself while the process lives", async () => {
  const timing = { durationMs: 200, graceMs: 0 };
  // Half of its time is over after each record, so a machine that stands still cannot lose it.
  let time = 0;
  const clock = { now: () => new Date(time), monotonic: () => time };
  const memory = new MemoryStore();
  const store = storeWith(memory, {
    async put(...args) {
      const info = await memory.put(...args);
      time += timing.durationMs / 2;
      return info;
    },
  });
  const lease = await leasesOn(store, { timing, clock }).exclude({ what: "removal" });
  for (const end = Date.now() + 60_000; lease.fencingToken <= 3;) {
    assert.ok(Date.now() < end, "nothing renews it");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  lease.check();
  await lease.renew(); // behind the one by itself, which may not be over
  const records = await Array.fromAsync(store.list("main/leases/prune/"));
  assert.equal(records.length, 2, "old records are removed");
  await lease.release();
});

Deno.test("HeldLease.renew() knows its own record when the reply was lost", async () => {
  const memory = new MemoryStore();
  let lose = false;
  const store = storeWith(memory, {
    async put(...args) {
      const info = await memory.put(...args);
      return lose ? await memory.put(...args) : info; // the adapter's second try finds the first
    },
  });
  const lease = await leasesOn(store).exclude({ what: "removal" });
  lose = true;
  await lease.renew();
  lease.check();
  await lease.release();
});

Deno.test("Leases.exclude() reads back what it wrote where conditions count for nothing", async () => {
  const memory = new MemoryStore();
  let other: Leases | undefined;
  let later: HeldLease | undefined;
  const store = storeWith(memory, {
    async put(key, body, options) {
      const { ifAbsent: _, ...rest } = options ?? {};
      const info = await memory.put(key, body, rest);
      const now = other;
      other = undefined;
      if (now) later = await now.exclude({ what: "the later one" });
      return info;
    },
  });
  other = leasesOn(storeWith(memory, { put: (key, body) => memory.put(key, body) }));
  // The later one overwrites the same record between our put and our look.
  const real = memory.list.bind(memory);
  memory.list = async function* () {} as typeof real;
  const attempt = leasesOn(store).exclude({ what: "the earlier one" });
  await assert.rejects(attempt, LeaseHeldError);
  memory.list = real;
  await later?.release();
});

Deno.test("Leases.share() refuses what a removal under way takes away, and nothing else", async () => {
  const store = new MemoryStore();
  const removal = await leasesOn(store).exclude({ what: "removal" });
  const shared = () => leasesOn(store).share("restore", { what: "restore", needs: needs(["A"]) });
  await (await shared()).release(); // it is not known yet what goes
  const wal = [{ systemIdentifier: SYSTEM, timeline: 1, first: 3, last: 9 }];
  await removal.renew({
    removes: { backups: [{ systemIdentifier: SYSTEM, id: "A" }], wal },
  });
  await assert.rejects(shared(), LeaseHeldError);
  const others = [needs(["B"]), needs([], 10), { ...needs(["A"], 1), systemIdentifier: "8" }];
  for (const other of others) {
    await (await leasesOn(store).share("backup", { what: "backup", needs: other })).release();
  }
  await assert.rejects(
    leasesOn(store).share("restore", { what: "restore", needs: needs(["B"], 9) }),
    LeaseHeldError,
  );
  await removal.release({ keepCount: true });
  await (await shared()).release();
  const left = await Array.fromAsync(store.list("main/leases/"), ({ key }) => key);
  assert.deepEqual(left, [leaseKey("main", PRUNE_LEASE, 3)], "only the count stays");
});

Deno.test("Leases.share() is not held up by a removal that died", async () => {
  const memory = new MemoryStore();
  let age = 0;
  const store = agingStore(memory, () => age);
  const removal = await leasesOn(store).exclude({ what: "removal" });
  await removal.renew({ removes: { backups: [{ systemIdentifier: SYSTEM, id: "A" }], wal: [] } });
  age = TIMING.durationMs + 1000;
  await (await leasesOn(store).share("restore", { what: "x", needs: needs(["A"]) })).release();
  await removal.release();
});

Deno.test("Leases.live() leaves out what was given back or ran out", async () => {
  const store = new MemoryStore();
  const leases = leasesOn(store);
  const lease = await leases.share("backup", { what: "backup", needs: needs(["A"]) });
  const now = Date.now();
  assert.equal((await leases.live(now)).length, 1);
  assert.equal((await leases.live(now + TIMING.durationMs + 5000)).length, 0);
  await lease.release();
  assert.equal((await leases.live(now)).length, 0);
});

Deno.test("HeldLease.release() counts also where nothing may be deleted", async () => {
  const memory = new MemoryStore();
  const store = storeWith(memory, {
    delete: () => Promise.reject(new StorageError("AccessDenied")),
  });
  const leases = leasesOn(store);
  const lease = await leases.share("backup", { what: "backup", needs: needs(["A"]) });
  await lease.renew();
  assert.equal((await leases.live(Date.now())).length, 1);
  await lease.release();
  assert.deepEqual(await leases.live(Date.now()), []);
});

Deno.test("HeldLease.release() may let a lease stand for a while", async () => {
  const leases = leasesOn(new MemoryStore());
  const lease = await leases.share("restore", { what: "restore", needs: needs(["A"], 4) });
  await lease.release({ lasting: 3_600_000 });
  const later = Date.now() + 3_500_000;
  const [still] = await leases.live(later);
  assert.deepEqual(still?.needs, needs(["A"], 4));
  assert.deepEqual(await leases.live(later + 200_000), []);
});

Deno.test("listLeases() sees a lease that is renewed while it looks", async () => {
  const memory = new MemoryStore();
  const lease = await leasesOn(memory).share("backup", { what: "backup", needs: needs(["A"]) });
  let renewed = false;
  const store = storeWith(memory, {
    async get(...args) {
      if (!renewed) {
        renewed = true;
        await lease.renew();
        await lease.renew();
      }
      return await memory.get(...args);
    },
  });
  const found = await listLeases(store, "main");
  assert.deepEqual(found.map(({ number }) => number), [3]);
  await lease.release();
});

Deno.test("listLeases() refuses a record that it cannot read", async () => {
  const store = new MemoryStore();
  const newer = JSON.stringify({ format: "backupctl.lease", version: 2 });
  await store.put(leaseKey("main", "backup-x", 1), new TextEncoder().encode(newer));
  await assert.rejects(
    listLeases(store, "main"),
    /upgrade backupctl|newer version|cannot read|no lease/,
  );
});
