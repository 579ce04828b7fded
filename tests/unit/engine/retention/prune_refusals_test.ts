/** When a removal must not happen, and that nothing has gone then. */
import assert from "node:assert/strict";
import type { BackupSlot } from "../../../../src/catalog/catalog.ts";
import { Leases } from "../../../../src/catalog/leases.ts";
import type { Clock } from "../../../../src/domain/clock.ts";
import {
  type BackupctlError,
  IntegrityError,
  LeaseHeldError,
  RunFailedError,
  StorageError,
} from "../../../../src/domain/errors.ts";
import { parseRetentionPolicy } from "../../../../src/domain/retention_policy.ts";
import { PruneEngine } from "../../../../src/engine/retention/prune_engine.ts";
import type { PruneOptions, PruneParts } from "../../../../src/engine/retention/prune_parts.ts";
import { removeBackup } from "../../../../src/engine/retention/remove_backup.ts";
import { MemoryStore } from "../../../../src/storage/memory.ts";
import type { ObjectStore } from "../../../../src/storage/storage.ts";
import { HistoryWorld } from "../../../support/retention/history_world.ts";
import { keysOf, pruneParts, realId, storeWorld } from "../../../support/retention/stored_world.ts";
import { storeWith } from "../../../support/wal_rig.ts";

const LAST = { policy: parseRetentionPolicy("last-retain=1") };

/** A full backup, an increment on it, a logical one, and so many full ones behind. */
async function stored(fulls = 2): Promise<{ store: MemoryStore; world: HistoryWorld }> {
  const world = new HistoryWorld();
  world.play({ what: "full", segments: 1 });
  world.play({ what: "increment", pick: 0, segments: 1 });
  world.play({ what: "logical" });
  for (let serial = 0; serial < fulls; serial++) {
    world.play({ what: "pass", hours: 24, segments: 2 });
    world.play({ what: "full", segments: 1 });
  }
  const store = new MemoryStore();
  await storeWorld(world, store, "main");
  return { store, world };
}

function run(
  store: ObjectStore,
  options: PruneOptions = LAST,
  changes: Partial<PruneParts> = {},
) {
  return new PruneEngine({ ...pruneParts(store, { cluster: "main" }), ...changes }).run(options);
}

/** Checks that it fails so, and that every key is still there. */
async function refuses(
  memory: MemoryStore,
  attempt: () => Promise<unknown>,
  { kind, message }: {
    readonly kind: new (text: string) => BackupctlError;
    readonly message: RegExp;
  },
): Promise<void> {
  const before = await keysOf(memory, "main");
  await assert.rejects(attempt(), (error) => {
    assert.ok(error instanceof kind, String(error));
    assert.match(error.message, message);
    return true;
  });
  assert.deepEqual(await keysOf(memory, "main"), before);
}

const FIRST = "main/7000000000000000000/backups/20260101T000001Z-F/";

Deno.test("PruneEngine refuses when a backup.json cannot be read", async () => {
  const { store } = await stored();
  await store.put(`${FIRST}backup.json`, new TextEncoder().encode("{"));
  await refuses(store, () => run(store), { kind: IntegrityError, message: /cannot be read/ });
  await store.put(
    `${FIRST}backup.json`,
    new TextEncoder().encode('{"format":"backupctl.backup","version":99}'),
  );
  await refuses(store, () => run(store), { kind: IntegrityError, message: /upgrade backupctl/ });
});

Deno.test("PruneEngine refuses when a backup lacks an object", async () => {
  const { store } = await stored();
  await store.delete([`${FIRST}chunks/0001.tar.zst`]);
  await refuses(store, () => run(store), { kind: IntegrityError, message: /is not whole/ });
});

Deno.test("PruneEngine refuses when the base of an increment is gone", async () => {
  const { store } = await stored();
  await store.delete([`${FIRST}backup.json`]);
  await refuses(store, () => run(store), { kind: IntegrityError, message: /builds on/ });
});

Deno.test("PruneEngine refuses a listing that leaves out what is there", async () => {
  const { store } = await stored();
  const last = "20260101T000005Z-F";
  /** Whole listings end early; those that leap are not caught by the fault. */
  const partial = storeWith(store, {
    async *list(prefix, options) {
      for await (const info of store.list(prefix, options)) {
        if (prefix === "main/" && options?.startAfter === undefined && info.key.includes(last)) {
          if (await isFullListing()) return;
        }
        yield info;
      }
    },
  });
  let listings = 0;
  const isFullListing = () => Promise.resolve(++listings > 1);
  await refuses(store, () => run(partial), { kind: RunFailedError, message: /leaves out backup/ });
});

Deno.test("PruneEngine removes nothing when a listing fails on its way", async () => {
  const { store } = await stored();
  const failing = storeWith(store, {
    async *list(prefix, options) {
      let count = 0;
      for await (const info of store.list(prefix, options)) {
        if (prefix === "main/" && ++count > 4) throw new StorageError("503 SlowDown");
        yield info;
      }
    },
  });
  await refuses(store, () => run(failing), { kind: StorageError, message: /SlowDown/ });
});

Deno.test("PruneEngine removes nothing from what seems empty", async () => {
  const { store } = await stored();
  const empty = storeWith(store, {
    async *list(prefix, options) {
      if (prefix.includes("leases")) yield* store.list(prefix, options);
    },
  });
  const report = await run(empty);
  assert.deepEqual([report!.removal.remove, report!.removedSegments], [[], 0]);
});

Deno.test("PruneEngine refuses to take more than half at once, unless forced", async () => {
  const { store } = await stored(8);
  const message = /9 of 11 backups would be removed at once/;
  await refuses(store, () => run(store), { kind: RunFailedError, message });
  assert.equal((await run(store, { ...LAST, force: true }))!.removal.remove.length, 9);
});

for (const minutes of [-6, 6, 600]) {
  Deno.test(`PruneEngine refuses with a clock ${minutes} minutes off the store's`, async () => {
    const { store } = await stored();
    const shift = minutes * 60_000;
    const clock: Clock = {
      now: () => new Date(Date.now() + shift),
      monotonic: () => performance.now(),
    };
    const parts = pruneParts(store, { cluster: "main", clock });
    const message = /clock is .* (behind|ahead of) the store's/;
    await refuses(store, () => run(store, LAST, parts), { kind: RunFailedError, message });
  });
}

Deno.test("PruneEngine refuses where nobody can be kept out, unless forced", async () => {
  const { store } = await stored();
  const changes = { conditionalPut: false };
  const message = /"only if absent" for nothing/;
  await refuses(store, () => run(store, LAST, changes), { kind: RunFailedError, message });
  assert.ok(await run(store, { ...LAST, force: true }, changes));
});

Deno.test("PruneEngine leaves what another host reads, with the log that it needs", async () => {
  const { store, world } = await stored(4);
  const [first] = world.current.backups;
  const leases = new Leases(store, { cluster: "main", holder: { host: "db9", pid: 3 } });
  const needs = {
    ...{ systemIdentifier: world.current.systemIdentifier, backups: [realId(first!)] },
    walFrom: 2,
  };
  const lease = await leases.share("restore", { what: "restore of it", needs });
  const report = (await run(store))!;
  const kept = report.removal.keep.find(({ backup }) => backup.id === realId(first!));
  assert.deepEqual(kept?.reasons, ["in use by restore of it on host db9"]);
  const needed = report.removal.wal.filter(({ last }) => last >= 2);
  assert.ok(needed.length > 0 && needed.every(({ keep }) => keep));
  await lease.release();
  const after = (await run(store))!;
  assert.ok(after.removal.remove.some(({ backup }) => backup.id === realId(first!)));
});

Deno.test("PruneEngine makes another plan when somebody begins to read meanwhile", async () => {
  const { store, world } = await stored();
  const [first] = world.current.backups;
  const leases = new Leases(store, { cluster: "main", holder: { host: "db9", pid: 3 } });
  const needs = {
    ...{ systemIdentifier: world.current.systemIdentifier, backups: [realId(first!)] },
    walFrom: null,
  };
  let plans = 0;
  const begun: Awaited<ReturnType<Leases["share"]>>[] = [];
  /** The lease is taken after the plan and before it is written down. */
  const watched = storeWith(store, {
    async put(key, body, options) {
      const isPlan = key.includes("/leases/prune/") && body instanceof Uint8Array &&
        new TextDecoder().decode(body).includes('"removes": {');
      if (isPlan && ++plans === 1) {
        begun.push(await leases.share("restore", { what: "restore", needs }));
      }
      return await store.put(key, body, options);
    },
  });
  const report = (await run(watched))!;
  assert.ok(report.removal.keep.some(({ backup }) => backup.id === realId(first!)));
  assert.ok(plans >= 2);
  await begun[0]!.release();
});

Deno.test("PruneEngine stops before a backup that is pinned while it runs", async () => {
  const { store, world } = await stored();
  const parts = pruneParts(store, { cluster: "main" });
  const [first] = world.current.backups;
  const place = { systemIdentifier: world.current.systemIdentifier, id: realId(first!) };
  const confirm = () => {
    queueMicrotask(() => void parts.notes.add(place, { keep: { until: null } }));
    return true;
  };
  await assert.rejects(
    new PruneEngine(parts).run({ ...LAST, confirm }),
    /was pinned while this ran/,
  );
  const keys = await keysOf(store, "main");
  assert.ok(keys.includes(`${FIRST}backup.json`));
  const report = (await run(store))!;
  assert.ok(report.removal.keep.some(({ backup }) => backup.id === realId(first!)));
});

Deno.test("PruneEngine finishes what an earlier removal had to leave", async () => {
  const { store } = await stored();
  const broken = storeWith(store, {
    delete(keys, options) {
      if (keys.some((key) => key.includes("/chunks/"))) {
        return Promise.reject(new StorageError("503 SlowDown"));
      }
      return store.delete(keys, options);
    },
  });
  await assert.rejects(run(broken), /SlowDown/);
  const half = (await keysOf(store, "main")).filter((key) => key.startsWith(FIRST));
  const increment = "20260101T000002Z-I/";
  const left = (await keysOf(store, "main")).filter((key) => key.includes(increment));
  assert.ok(left.length > 0 && !left.some((key) => key.endsWith("backup.json")));
  assert.ok(half.includes(`${FIRST}backup.json`), "its base is still whole");
  const shown = await new PruneEngine(pruneParts(store, { cluster: "main" })).plan(LAST);
  assert.match(shown.leftovers[0]!.reason, /begun and not finished/);
  const report = (await run(store))!;
  assert.deepEqual(report.removal, shown);
  assert.ok(!(await keysOf(store, "main")).some((key) => key.includes(increment)));
  assert.deepEqual((await run(store))!.removal.leftovers, []);
});

Deno.test("PruneEngine.plan() writes nothing", async () => {
  const { store } = await stored();
  const readOnly = storeWith(store, {
    put: () => Promise.reject(new StorageError("AccessDenied")),
    delete: () => Promise.reject(new StorageError("AccessDenied")),
  });
  const planned = await new PruneEngine(pruneParts(readOnly, { cluster: "main" })).plan(LAST);
  const done = (await run(store))!;
  assert.deepEqual(planned, done.removal);
});

Deno.test("PruneEngine with orphans removes old folders that nobody writes to", async () => {
  const { store, world } = await stored();
  const parts = pruneParts(store, { cluster: "main" });
  const { systemIdentifier } = world.current;
  const slots: BackupSlot[] = [];
  for (const second of [1, 2]) {
    const startedAt = new Date(Date.UTC(2026, 5, 1, 0, 0, second));
    const slot = await parts.repository.begin(systemIdentifier, {
      ...{ method: "physical", kind: "full", startedAt },
    });
    await store.put(`${slot.folder}chunks/0001.tar.zst`, new Uint8Array(9));
    slots.push(slot);
  }
  const needs = { systemIdentifier, backups: [slots[1]!.id], walFrom: null };
  const lease = await parts.leases.share("backup", { what: "backup", needs });
  const young = (await run(store, { orphans: true }))!;
  assert.deepEqual(young.removal.leftovers, []);
  assert.match(young.removal.notes[0]!, /2 folders .* without backup.json/);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const old = (await run(store, { orphans: true, olderThan: 10 }))!;
  assert.deepEqual(old.removal.leftovers.map(({ id }) => id), [slots[0]!.id], "one is at work");
  const keys = await keysOf(store, "main");
  assert.ok(!keys.some((key) => key.startsWith(slots[0]!.folder)));
  assert.ok(keys.some((key) => key.startsWith(slots[1]!.folder)));
  await lease.release();
});

const NEWEST = "20260101T000005Z-F";
const refusals: readonly (readonly [id: string, message: RegExp])[] = [
  ["20260101T000001Z-F", /20260101T000002Z-I builds on backup 20260101T000001Z-F/],
  [NEWEST, /is the newest physical one/],
  ["20260101T000003Z-L", /is the newest logical one/],
  ["20260101T000004Z-F", /is kept on request/],
];
for (const [id, message] of refusals) {
  Deno.test(`removeBackup() refuses ${id} unless forced`, async () => {
    const { store, world } = await stored();
    const parts = pruneParts(store, { cluster: "main" });
    const { systemIdentifier } = world.current;
    await parts.notes.add({ systemIdentifier, id: "20260101T000004Z-F" }, {
      keep: { until: null },
    });
    await refuses(store, () => removeBackup(parts, { id }), { kind: RunFailedError, message });
    const report = (await removeBackup(parts, { id, force: true }))!;
    const gone = report.removal.remove.map(({ backup }) => backup.id);
    assert.deepEqual(gone.at(-1), id);
    const left = await parts.repository.backups();
    assert.ok(!left.some((manifest) => gone.includes(manifest.id)));
  });
}

Deno.test("removeBackup() never takes what is in use, even forced", async () => {
  const { store, world } = await stored();
  const parts = pruneParts(store, { cluster: "main" });
  const needs = {
    ...{ systemIdentifier: world.current.systemIdentifier, backups: ["20260101T000002Z-I"] },
    walFrom: null,
  };
  const lease = await parts.leases.share("restore", { what: "restore", needs });
  const attempt = () => removeBackup(parts, { id: "20260101T000001Z-F", force: true });
  await refuses(store, attempt, { kind: LeaseHeldError, message: /needs backup/ });
  await lease.release();
});

Deno.test("removeBackup() removes a damaged backup only when forced", async () => {
  const { store } = await stored();
  await store.put(`${FIRST}backup.json`, new TextEncoder().encode("{"));
  const parts = pruneParts(store, { cluster: "main" });
  const id = "20260101T000001Z-F";
  await refuses(store, () => removeBackup(parts, { id }), {
    ...{ kind: IntegrityError, message: /cannot be read/ },
  });
  await removeBackup(parts, { id, force: true });
  const keys = await keysOf(store, "main");
  assert.ok(!keys.some((key) => key.startsWith(FIRST)));
});

const UNREADABLE = [
  [
    "damaged",
    "{",
    /^it was damaged or changed .*; "backupctl delete --backup-id 20260101T000002Z-I /,
  ],
  [
    ...["of a newer version", '{"format":"backupctl.backup","version":99}'],
    /^upgrade backupctl on this machine: what a newer one wrote is not damaged$/,
  ],
] as const;
for (const [what, text, hint] of UNREADABLE) {
  const isHint = (error: unknown) => {
    assert.match((error as BackupctlError).hint!, hint);
    return true;
  };
  const spoil = async (store: ObjectStore, id: string) => {
    const key = `main/7000000000000000000/backups/${id}/backup.json`;
    await store.put(key, new TextEncoder().encode(text));
  };
  const [full, increment] = ["20260101T000001Z-F", "20260101T000002Z-I"];

  Deno.test(`an increment that is ${what} is not cut off from what it may build on`, async () => {
    const { store } = await stored();
    await spoil(store, increment);
    const parts = pruneParts(store, { cluster: "main" });
    await assert.rejects(run(store), isHint);
    const message = /may build on backup 20260101T000001Z-F.*20260101T000002Z-I/;
    await refuses(store, () => removeBackup(parts, { id: full }), {
      ...{ kind: IntegrityError, message },
    });
    await assert.rejects(removeBackup(parts, { id: full }), isHint);
    const { removal } = (await removeBackup(parts, { id: full, force: true }))!;
    assert.deepEqual(removal.remove.map(({ backup }) => backup.id), [full]);
  });

  Deno.test(`removeBackup() takes with one that is ${what} what builds on it`, async () => {
    const { store, world } = await stored();
    await spoil(store, full);
    const parts = pruneParts(store, { cluster: "main" });
    await assert.rejects(removeBackup(parts, { id: full }), /without --force/);
    const { systemIdentifier } = world.current;
    const needs = { systemIdentifier, backups: [full], walFrom: null };
    const lease = await parts.leases.share("restore", { what: "restore of it", needs });
    const forced = () => removeBackup(parts, { id: full, force: true });
    await refuses(store, forced, { kind: LeaseHeldError, message: /restore of it on host db1/ });
    await lease.release();
    const { removal } = (await forced())!;
    assert.deepEqual(removal.remove.map(({ backup: { id, method } }) => [id, method]), [
      ...[[increment, "physical"], [full, "physical"]],
    ]);
    assert.deepEqual((await run(store, {}))!.removal.remove, [], "nothing hangs in the air");
  });
}

Deno.test("removeBackup() leaves a logical backup's removal to itself", async () => {
  const { store, world } = await stored();
  world.play({ what: "logical" });
  await storeWorld(world, store, "other");
  await store.put(
    "other/7000000000000000000/backups/20260101T000002Z-I/backup.json",
    new TextEncoder().encode("{"),
  );
  const parts = pruneParts(store, { cluster: "other" });
  assert.ok(await removeBackup(parts, { id: "20260101T000003Z-L" }));
});

Deno.test("removeBackup() refuses the only backup, when it ended in the future, too", async () => {
  const world = new HistoryWorld();
  world.play({ what: "clock", hours: 400 });
  world.play({ what: "full", segments: 1 });
  const store = new MemoryStore();
  await storeWorld(world, store, "main");
  const parts = pruneParts(store, { cluster: "main" });
  const attempt = () => removeBackup(parts, { id: "20260101T000001Z-F" });
  await refuses(store, attempt, { kind: RunFailedError, message: /is the newest physical one/ });
});
