/** Faults that are put into a repository at random, and how soon people hear of them. */
import assert from "node:assert/strict";
import { CrashingFolder } from "../support/alerts/crashing_folder.ts";
import { FakeClock } from "../support/alerts/fake_clock.ts";
import { KeepingChannel } from "../support/alerts/alert_rig.ts";
import { aFailure, aRun, aSnapshot, LIMITS } from "../support/alerts/snapshots.ts";
import { samplePhysical } from "../support/manifests.ts";
import { makeSegment, TEST_SYSTEM } from "../support/wal_segments.ts";
import { encodedWal } from "../support/wal_rig.ts";
import { withAlertFacts } from "../../src/cli/alerts/alert_facts.ts";
import type { RunRecord } from "../../src/catalog/catalog.ts";
import { recordCheck } from "../../src/catalog/checks.ts";
import { openRepository } from "../../src/catalog/repository.ts";
import { loadConfig } from "../../src/config/config.ts";
import { StorageError } from "../../src/domain/errors.ts";
import { parseWalName } from "../../src/domain/wal.ts";
import { walKey } from "../../src/domain/wal_key.ts";
import { verifyWal } from "../../src/engine/verify_wal.ts";
import { AlertManager } from "../../src/service/alerts/alert_manager.ts";
import { DurableFolder } from "../../src/service/alerts/queue/durable_folder.ts";
import { confirmLooks, lookAt, lookAtRun } from "../../src/service/alerts/rules/evaluate_rules.ts";
import { entrySnapshot } from "../../src/service/schedule/entry_snapshot.ts";
import { ScheduleBook } from "../../src/service/service.ts";
import { gatherSnapshot, type ServiceSnapshot } from "../../src/service/service.ts";
import { MemoryStore } from "../../src/storage/memory.ts";

const COUNT = Deno.env.get("BACKUPCTL_FAULTS") === "full" ? 400 : 40;
const TICK = 60_000;
const HOUR = 60 * TICK;
const SEGMENTS = 12;
const PLACE = { cluster: "main", systemIdentifier: TEST_SYSTEM };
const { config } = await loadConfig({ env: { HOME: "/nowhere" }, defaultFiles: [] });
const WAL = await Promise.all(Array.from({ length: SEGMENTS }, async (_, index) => {
  const { name, bytes } = makeSegment({ timeline: 1, number: index + 4 });
  return { name, encoded: await encodedWal(parseWalName(name)!, bytes) };
}));

/** Numbers that look random and are the same each time. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 % 2 ** 32;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

/** A repository, a schedule, and the daemon's eyes on both. */
class World {
  readonly clock = new FakeClock(Date.parse("2026-11-23T12:00:00.000Z"));
  readonly store = new MemoryStore();
  readonly channel = new KeepingChannel();
  readonly manager: AlertManager;
  readonly #entry = {
    ...{ name: "hourly", cron: "0 * * * *", run: "backup full", kind: "backup" },
    ...{ timezone: undefined, jitterMs: 0, missed: "run" },
  } as unknown as ConstructorParameters<typeof ScheduleBook>[0]["entries"][number];
  readonly #book = new ScheduleBook({ entries: [this.#entry], seed: "main" });
  /** The last moment that the scheduler has dealt with; undefined: it keeps up. */
  dealt: Date | undefined;
  runs: RunRecord[] = [aRun({}, new Date(this.clock.now().getTime() - HOUR))];
  backlogSince: Date | undefined;

  constructor() {
    this.manager = new AlertManager({
      cluster: "main",
      host: "db1",
      folder: new DurableFolder(new CrashingFolder(), { now: () => this.clock.now() }),
      clock: this.clock,
      channels: [this.channel],
      telling: {
        ...{ repeatMs: 24 * HOUR, resolveAfterMs: 5 * TICK, confirmLooks },
        isQuiet: () => false,
      },
    });
  }

  /** Two backups that can be rolled forward, and every segment behind them. */
  async fill(): Promise<this> {
    const repository = openRepository(this.store, { cluster: "main" });
    await repository.prepare();
    for (const [hours, first] of [[30, 4], [6, 8]] as const) {
      const stoppedAt = new Date(this.clock.now().getTime() - hours * HOUR);
      const lsn = (number: number, offset: number) =>
        `0/${(number * 1024 * 1024 + offset).toString(16).toUpperCase()}`;
      const slot = await repository.begin(TEST_SYSTEM, {
        ...{ method: "physical", kind: "full", startedAt: stoppedAt },
      });
      const objects = [];
      for (const object of samplePhysical().objects) {
        await this.store.put(slot.folder + object.key, new Uint8Array(object.storedBytes));
        objects.push(object);
      }
      await repository.commit(samplePhysical({
        ...{ id: slot.id, systemIdentifier: TEST_SYSTEM, timeline: 1, objects },
        ...{ walSegmentBytes: 1024 * 1024, startLsn: lsn(first, 40), stopLsn: lsn(first, 300) },
        ...{ startedAt: stoppedAt.toISOString(), stoppedAt: stoppedAt.toISOString() },
      }));
    }
    for (const { name, encoded } of WAL) {
      await this.store.put(this.walKey(name), encoded.stored, { metadata: encoded.metadata });
    }
    return this;
  }

  walKey(name: string): string {
    return walKey(PLACE, parseWalName(name)!);
  }

  /** What a tick of the daemon does. */
  async tick(): Promise<void> {
    const snapshot = await this.#gather();
    const env = {};
    const signal = new AbortController().signal;
    const facts = await withAlertFacts(snapshot, { config, env, store: this.store, signal });
    await this.manager.look(lookAt(facts, LIMITS));
    await this.manager.deliver();
    this.clock.advance(TICK);
  }

  async #gather(): Promise<ServiceSnapshot> {
    const now = this.clock.now();
    const state = { due: (this.dealt ?? now).toISOString() };
    const nextRun = this.#book.nextRun("hourly", { now, state });
    const snapshot = await gatherSnapshot({
      repository: openRepository(this.store, { cluster: "main" }),
      ...{ store: this.store, clock: this.clock, host: "db1", version: "0" },
      recentRuns: () => Promise.resolve(this.runs),
      schedule: () => [entrySnapshot(this.#entry, { state, nextRun })],
      leader: () => ({ here: true, holder: "db1/1" }),
    });
    const { archiving } = aSnapshot().server!;
    const newest = {
      lastArchived: WAL.at(-1)!.name,
      lastArchivedAt: new Date(now.getTime() - TICK),
    };
    const backlog = {
      ...{ files: this.backlogSince ? 2 : 0, bytes: 0, oldestAt: this.backlogSince },
    };
    return { ...snapshot, server: { archiving: { ...archiving, ...newest }, backlog } };
  }
}

/** Puts a fault in, so that the next tick could see it. @returns the rule that must tell of it. */
type Fault = (world: World, random: (below: number) => number) => Promise<string>;

async function flipByte(store: MemoryStore, key: string, random: (below: number) => number) {
  const bytes = await new Response(await store.get(key)).bytes();
  bytes[random(bytes.length)]! ^= 1 << random(8);
  const metadata = (await store.head(key))?.metadata ?? {};
  await store.delete([key]);
  await store.put(key, bytes, { metadata });
}

async function backupKeys({ store }: World): Promise<readonly string[]> {
  const keys = await Array.fromAsync(store.list("main/"), ({ key }) => key);
  return keys.filter((key) => key.endsWith("/backup.json"));
}

const FAULTS: Readonly<Record<string, Fault>> = {
  "a gap": async (world, random) => {
    // Not the last one, which nobody can miss, and behind the first backup.
    await world.store.delete([world.walKey(WAL[1 + random(SEGMENTS - 2)]!.name)]);
    return "wal_gap";
  },
  "a failed backup": (world, random) => {
    const codes = ["POSTGRES_REFUSED", "STORAGE_REFUSED", "RUN_FAILED", "BUG"];
    const failed = aFailure("backup full", codes[random(codes.length)]!);
    world.runs = [{ ...failed, finishedAt: world.clock.now().toISOString() }, ...world.runs];
    return Promise.resolve("run_failed");
  },
  "a silent scheduler": (world, random) => {
    world.dealt = new Date(world.clock.now().getTime() - (2 + random(50)) * HOUR);
    return Promise.resolve("schedule_silent");
  },
  "a manifest with a wrong byte": async (world, random) => {
    const keys = await backupKeys(world);
    const key = keys[random(keys.length)]!;
    const bytes = await new Response(await world.store.get(key)).bytes();
    await world.store.delete([key]);
    await world.store.put(key, bytes.slice(0, random(bytes.length - 2)));
    return "backup_unreadable";
  },
  "WAL with a wrong byte, found by reading it back": async (world, random) => {
    await flipByte(world.store, world.walKey(WAL[random(SEGMENTS)]!.name), random);
    const { damaged } = await verifyWal(world.store, { place: PLACE });
    assert.equal(damaged.length, 1);
    await recordCheck(world.store, {
      ...{ ...PLACE, kind: "verified", subject: "wal", outcome: "damaged", details: {} },
      finishedAt: world.clock.now(),
    });
    return "backup_damaged";
  },
  "a damaged backup, of which the run tells": async (world) => {
    const run = aFailure("verify", "INTEGRITY");
    await world.manager.look(lookAtRun(run)!);
    return "run_failed";
  },
  "WAL that waits": (world, random) => {
    world.backlogSince = new Date(world.clock.now().getTime() - (11 + random(600)) * TICK);
    return Promise.resolve("wal_lag");
  },
  "a repository that cannot be asked": (world) => {
    world.store.list = () => {
      throw new StorageError("no route to the store");
    };
    return Promise.resolve("unreachable");
  },
};

const names = Object.keys(FAULTS);
let [told, late] = [0, 0];

for (const [index, name] of names.entries()) {
  Deno.test(`people hear of ${name} within two ticks, and of nothing before`, async () => {
    for (let trial = index; trial < COUNT; trial += names.length) {
      const random = randomFrom(trial + 1);
      const world = await new World().fill();
      for (let calm = 0; calm < 3; calm++) await world.tick();
      const early = world.channel.notices.map((notice) => notice.title);
      assert.equal(early.join(), "", `a false alert before trial ${trial}`);
      const rule = await FAULTS[name]!(world, random);
      let ticks = 0;
      while (ticks < 5 && !world.channel.notices.some((notice) => notice.rule === rule)) {
        await world.tick();
        ticks++;
      }
      if (ticks > 2) late++;
      assert.ok(ticks <= 2, `trial ${trial}: ${rule} was told after ${ticks} ticks`);
      told++;
    }
  });
}

Deno.test("every fault was told in time", () => {
  assert.deepEqual([told, late], [COUNT, 0]);
});
