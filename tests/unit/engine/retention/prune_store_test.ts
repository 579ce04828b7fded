/** Removals from real stores: what goes is what was announced, wherever they are cut off. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { RetentionPolicy } from "../../../../src/domain/retention_policy.ts";
import { PruneEngine } from "../../../../src/engine/retention/prune_engine.ts";
import type { Removal } from "../../../../src/engine/retention/prune_parts.ts";
import { MemoryStore } from "../../../../src/storage/memory.ts";
import type { ObjectStore } from "../../../../src/storage/storage.ts";
import { checkNothingNeededWent } from "../../../support/retention/history_rules.ts";
import { DyingStore, Killed } from "../../../support/retention/dying_store.ts";
import {
  type Event,
  histories,
  HistoryWorld,
  policies,
} from "../../../support/retention/history_world.ts";
import {
  keysOf,
  pruneParts,
  realId,
  shiftOf,
  snapshotStore,
  storeWorld,
} from "../../../support/retention/stored_world.ts";
import { startS3 } from "../../../support/storage/s3_rig.ts";
import { realStores } from "../../../support/retention/real_stores.ts";
import { campaignSeed, FULL_FAULTS, reportCampaign, trials } from "../../../support/campaign.ts";
import { storeWith } from "../../../support/wal_rig.ts";

const lives = fc.record({
  events: histories,
  policy: policies,
  crashAt: fc.nat({ max: 60 }),
});

let serial = 0;

async function checkLife(
  store: ObjectStore,
  { events, policy, crashAt }: {
    readonly events: readonly Event[];
    readonly policy: RetentionPolicy;
    readonly crashAt: number;
  },
): Promise<number> {
  const cluster = `c${serial++}`;
  const world = new HistoryWorld();
  for (const event of events) if (event.what !== "prune") world.play(event);
  await storeWorld(world, store, cluster);
  const before = await look(world, store, cluster);
  const keys = await keysOf(store, cluster);
  const options = { policy, force: true };
  const planned = await new PruneEngine(pruneParts(store, { cluster })).plan(options);

  const crashed = await runUntil(store, { cluster, crashAt, options });
  if (crashed) {
    for (const system of await look(world, store, cluster)) checkSystem(system, before, options);
    const later = await withAgedLeases(store, cluster);
    await new PruneEngine(pruneParts(later, { cluster })).run(options);
  }
  for (const system of await look(world, store, cluster)) checkSystem(system, before, options);
  const expected = keys.filter((key) => !announced(planned, cluster, key));
  assert.deepEqual(await keysOf(store, cluster), expected, "what went is what was announced");
  const again = await new PruneEngine(pruneParts(store, { cluster })).run(options);
  assert.deepEqual(again!.removal.remove, []);
  assert.equal(again!.removedSegments, 0);
  return keys.length - expected.length;
}

async function runUntil(
  store: ObjectStore,
  { cluster, crashAt, options }: {
    readonly cluster: string;
    readonly crashAt: number;
    readonly options: { readonly policy: RetentionPolicy; readonly force: boolean };
  },
): Promise<boolean> {
  const dying = new DyingStore(store, crashAt);
  try {
    await new PruneEngine(pruneParts(dying, { cluster })).run(options);
    return dying.changes >= crashAt; // what gives the lease back does not throw
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
    return true;
  }
}

/** Every lease that stands there now was taken an hour ago. Clocks are too coarse to tell which. */
async function withAgedLeases(store: ObjectStore, cluster: string): Promise<ObjectStore> {
  const standing = new Set<string>();
  for await (const { key, etag } of store.list(`${cluster}/`)) standing.add(`${key} ${etag}`);
  return storeWith(store, {
    async *list(...args) {
      for await (const info of store.list(...args)) {
        const isOld = info.key.includes("/leases/") && standing.has(`${info.key} ${info.etag}`);
        const time = info.lastModified!.getTime();
        yield isOld ? { ...info, lastModified: new Date(time - 3_600_000) } : info;
      }
    },
  });
}

/** Whether the plan takes this key away. */
function announced({ remove, wal, sideFiles }: Removal, cluster: string, key: string): boolean {
  const [system = "", room = "", name = ""] = key.slice(cluster.length + 1).split("/");
  if (room === "backups" || room === "notes") {
    return remove.some(({ systemIdentifier, backup }) =>
      systemIdentifier === system && backup.id === name
    );
  }
  if (sideFiles.some((file) => file.key === key)) return true;
  const segment = /\/([0-9A-F]{8})\/[0-9A-F]{8}\/[0-9A-F]{8}([0-9A-F]{8})([0-9A-F]{8})\.zst$/
    .exec(key);
  if (!segment) return false;
  const [timeline, log, low] = segment.slice(1).map((digits) => Number.parseInt(digits, 16));
  const number = log! * 4096 + low!;
  return wal.some((piece) =>
    !piece.keep && piece.systemIdentifier === system && piece.timeline === timeline &&
    piece.first <= number && number <= piece.last
  );
}

type Looks = Awaited<ReturnType<typeof look>>;

async function look(world: HistoryWorld, store: ObjectStore, cluster: string) {
  return await Promise.all(world.systems.map(async ({ systemIdentifier, backups }) => {
    const pins = new Map(backups.map((backup) => {
      const until = backup.pin?.until ?? null;
      const shifted = until === null ? null : until + shiftOf(world);
      return [realId(backup), backup.pin && { until: shifted }] as const;
    }));
    const options = { cluster, systemIdentifier, pins };
    return { systemIdentifier, found: await snapshotStore(store, options) };
  }));
}

function checkSystem(
  { systemIdentifier, found }: Looks[number],
  before: Looks,
  { policy }: { readonly policy: RetentionPolicy },
): void {
  const was = before.find((one) => one.systemIdentifier === systemIdentifier)!.found;
  checkNothingNeededWent({ before: was, after: found }, { policy, now: Date.now() });
}

async function checkLives(
  where: string,
  { store, numRuns }: { readonly store: () => ObjectStore; readonly numRuns: number },
): Promise<void> {
  let removed = 0;
  const seed = campaignSeed() % 2 ** 31;
  await fc.assert(
    fc.asyncProperty(lives, async (life) => void (removed += await checkLife(store(), life))),
    { numRuns, seed, interruptAfterTimeLimit: 1_800_000, markInterruptAsFailure: true },
  );
  const outcome = `${removed} objects removed, all announced; nothing needed went`;
  if (FULL_FAULTS) reportCampaign({ what: `prune: lives in ${where}`, n: numRuns, seed, outcome });
  assert.ok(removed > numRuns, "something was removed");
}

Deno.test("PruneEngine removes from memory what it announced, cut off anywhere", async () => {
  await checkLives("memory", {
    store: () => new MemoryStore(),
    numRuns: trials({ full: 300, usual: 15 }),
  });
});

Deno.test("PruneEngine finishes by the plan it began with, where a timeline was left", async () => {
  const policy = { counts: {}, pitrWindow: undefined, minRedundancy: 1 };
  const events: Event[] = [
    { what: "increment", pick: 0, segments: 0 },
    { what: "full", segments: 0 },
    { what: "recover", pick: 0, segments: 0 },
    { what: "increment", pick: 0, segments: 0 },
    { what: "full", segments: 0 },
    { what: "full", segments: 0 },
    { what: "pass", hours: 1, segments: 0 },
    { what: "recover", pick: 0, segments: 0 },
  ];
  for (let crashAt = 1; crashAt <= 20; crashAt++) {
    const life = { events, policy: { ...policy, counts: { last: 1 } }, crashAt };
    assert.ok(await checkLife(new MemoryStore(), life) > 0);
  }
});

Deno.test("PruneEngine keeps the backup that an encrypted history leads back to", async () => {
  const world = new HistoryWorld();
  world.play({ what: "full", segments: 1 });
  world.play({ what: "pass", hours: 24, segments: 4 });
  world.play({ what: "full", segments: 1 });
  world.play({ what: "recover", pick: 0, segments: 1 });
  world.play({ what: "pass", hours: 48, segments: 4 });
  world.play({ what: "full", segments: 1 });
  const store = new MemoryStore();
  await storeWorld(world, store, "main");
  const policy = { counts: {}, pitrWindow: 36 * 3_600_000, minRedundancy: 1 };
  const { remove, keep } = await new PruneEngine(pruneParts(store, { cluster: "main" }))
    .plan({ policy });
  assert.deepEqual(remove, []);
  assert.deepEqual(keep[0]!.reasons, ["the window of pitr-window=36h begins with it"]);
});

Deno.test("PruneEngine removes from S3 what it announced, cut off anywhere", async () => {
  await using rig = startS3();
  await checkLives("the small S3 server", {
    store: () => rig.store,
    numRuns: trials({ full: 100, usual: 6 }),
  });
});

for (const { name, open } of realStores()) {
  Deno.test(`PruneEngine removes from ${name} what it announced, cut off anywhere`, async () => {
    const store = await open();
    try {
      await checkLives(name, { store: () => store, numRuns: trials({ full: 300, usual: 15 }) });
    } finally {
      await store.close();
    }
  });
}
