import assert from "node:assert/strict";
import {
  type Child,
  type ChildEnd,
  type ScheduleEntry,
  type ScheduleEvent,
  ScheduleLedger,
  Scheduler,
} from "../../../src/service/service.ts";
import type { ProcessMark } from "../../../src/service/service.ts";
import { storeWith } from "../../support/wal_rig.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import type { ObjectStore } from "../../../src/storage/storage.ts";

const START = Date.parse("2026-03-01T01:59:00Z");

/** A clock that is moved by hand. */
class HandClock {
  #wall = START;
  #steady = 0;
  now = () => new Date(this.#wall);
  monotonic = () => this.#steady;
  pass(milliseconds: number): void {
    this.#wall += milliseconds;
    this.#steady += milliseconds;
  }
}

/** A child that ends when the test says so. */
class HandChild implements Child {
  readonly #end = Promise.withResolvers<ChildEnd>();
  readonly ended = this.#end.promise;
  readonly asked: string[] = [];
  constructor(readonly pid: number, readonly onAsk: (child: HandChild) => void = () => {}) {}
  end(how: "ask" | "kill"): void {
    this.asked.push(how);
    if (how === "kill") return this.finish(137);
    this.onAsk(this);
  }
  finish(exitStatus: number, message?: string): void {
    this.#end.resolve({ exitStatus, ...(message !== undefined && { message }) });
  }
}

const ENTRY: ScheduleEntry = {
  ...{ name: "daily", cron: "0 2 * * *", timezone: "UTC", run: "test", args: ["test"] },
  ...{ kind: "test", jitterMs: 0, missed: "run" },
};

interface Rig {
  readonly scheduler: Scheduler;
  readonly ledger: ScheduleLedger;
  readonly events: ScheduleEvent[];
  readonly children: HandChild[];
}

let nextPid = 100;

/** A daemon on `host`, whose processes are those of `alive`. */
function daemon(
  store: ObjectStore,
  {
    clock,
    host = "a",
    alive = new Set<number>(),
    entries = [ENTRY],
    onAsk,
    onSleep,
    blind = false,
  }: {
    /** Whether the pause is over at once. */
    readonly onSleep?: (milliseconds: number) => boolean;
    readonly clock: HandClock;
    /** It cannot tell whether a process is alive. */
    readonly blind?: boolean;
    readonly host?: string;
    readonly alive?: Set<number>;
    readonly entries?: readonly ScheduleEntry[];
    readonly onAsk?: (child: HandChild) => void;
  },
): Rig {
  const events: ScheduleEvent[] = [];
  const children: HandChild[] = [];
  const pid = nextPid++;
  alive.add(pid);
  const isAlive = ({ pid }: ProcessMark) => Promise.resolve(blind ? undefined : alive.has(pid));
  const ledger = new ScheduleLedger(store, {
    ...{ cluster: "main", clock, host, isAlive },
    process: { pid },
  });
  const scheduler = new Scheduler({
    ...{ entries, cluster: "main", ledger, clock, host, isAlive },
    markOf: (pid) => Promise.resolve({ pid }),
    spawn: () => {
      const child = new HandChild(nextPid++, onAsk);
      alive.add(child.pid);
      children.push(child);
      return child;
    },
    tell: (event) => void events.push(event),
    sleep: (milliseconds, signal) => onSleep?.(milliseconds) ? Promise.resolve() : until(signal),
  });
  return { scheduler, ledger, events, children };
}

function until(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}

function types(events: readonly ScheduleEvent[]): readonly string[] {
  return events.map((event) =>
    event.type === "finished" ? `finished ${event.run.outcome}` : event.type
  );
}

Deno.test("Scheduler begins an entry when it is due, once, and keeps its end", async () => {
  const [store, clock] = [new MemoryStore(), new HandClock()];
  const { scheduler, ledger, events, children } = daemon(store, { clock });
  await scheduler.look();
  clock.pass(59_999);
  await scheduler.look();
  assert.equal(children.length, 0);
  clock.pass(1);
  await scheduler.look();
  await scheduler.look();
  assert.equal(children.length, 1);
  assert.equal(scheduler.snapshot()[0]?.last?.outcome, "running");
  assert.equal(ledger.states.get("daily")?.run?.process?.pid, children[0]!.pid);
  children[0]!.finish(0);
  await children[0]!.ended;
  await scheduler.look();
  assert.deepEqual(types(events), ["leader", "fired", "finished succeeded"]);
  assert.equal(ledger.states.get("daily")?.run?.outcome, "succeeded");
  assert.equal(scheduler.snapshot()[0]?.nextRun?.toISOString(), "2026-03-02T02:00:00.000Z");
});

Deno.test("Scheduler keeps the mark before it begins a run", async () => {
  const [store, clock] = [new MemoryStore(), new HandClock()];
  const { scheduler, children, events } = daemon(store, { clock });
  await scheduler.look();
  clock.pass(60_000);
  const put = store.put.bind(store);
  store.put = () => Promise.reject(new Error("the store is gone"));
  await scheduler.look();
  assert.equal(children.length, 0);
  assert.equal(types(events).at(-1), "trouble");
  store.put = put;
  await scheduler.look();
  assert.equal(children.length, 1);
});

Deno.test("Scheduler runs what it marked, though it never heard that the mark was kept", async () => {
  const [store, clock] = [new MemoryStore(), new HandClock()];
  const { scheduler, ledger, children } = daemon(store, { clock });
  await scheduler.look();
  clock.pass(50_000);
  await scheduler.look(); // a sign of life, so that the mark is what is written next
  clock.pass(10_000);
  const put = store.put.bind(store);
  store.put = async (...args) => {
    await put(...args);
    throw new Error("no answer in time");
  };
  await scheduler.look();
  assert.equal(children.length, 0);
  store.put = put;
  for (let look = 0; look < 3; look++) await scheduler.look();
  assert.equal(children.length, 1, "the run that was marked was forgotten");
  assert.equal(ledger.states.get("daily")?.run?.outcome, "running");
  children[0]!.finish(0);
  await children[0]!.ended;
  await scheduler.look();
  assert.equal(ledger.states.get("daily")?.run?.outcome, "succeeded");
  assert.equal(ledger.states.get("daily")?.run?.due, "2026-03-01T02:00:00.000Z");
});

Deno.test("Scheduler.once() fails when it could not look at the schedule", async () => {
  const store = new MemoryStore();
  const { scheduler, events } = daemon(store, { clock: new HandClock() });
  store.head = () => Promise.reject(new Error("the store is gone"));
  await assert.rejects(scheduler.once(new AbortController().signal), /the store is gone/);
  assert.deepEqual(types(events), ["trouble"]);
});

Deno.test("Scheduler rests while an entry waits for another of its kind", async () => {
  const [store, clock] = [new MemoryStore(), new HandClock()];
  const waits: number[] = [];
  const entries = [ENTRY, { ...ENTRY, name: "other", cron: "1 2 * * *" }];
  const rested = Promise.withResolvers<void>();
  const { scheduler, children } = daemon(store, {
    ...{ clock, entries },
    onSleep: (milliseconds) => {
      waits.push(milliseconds);
      if (waits.length === 1) clock.pass(60_000);
      if (waits.length === 2) clock.pass(60_000);
      if (waits.length < 3) return true;
      rested.resolve();
      return false;
    },
    onAsk: (child) => child.finish(0),
  });
  const stop = new AbortController();
  const running = scheduler.run(stop.signal);
  await rested.promise;
  stop.abort();
  await running;
  assert.equal(children.length, 1);
  assert.equal(waits[2], 10_000, "it turned round and round until the first one ended");
});

Deno.test("Scheduler of a second host does nothing while the first one leads", async () => {
  const [store, clock] = [new MemoryStore(), new HandClock()];
  const [a, b] = [daemon(store, { clock }), daemon(store, { clock, host: "b" })];
  await a.scheduler.look();
  await b.scheduler.look();
  clock.pass(60_000);
  await b.scheduler.look();
  await a.scheduler.look();
  assert.deepEqual([a.children.length, b.children.length], [1, 0]);
  assert.match(b.ledger.holder ?? "", /^a\//);
});

Deno.test("Scheduler takes over after the leader's silence, and makes up for its runs", async () => {
  const [store, clock] = [new MemoryStore(), new HandClock()];
  const [a, b] = [daemon(store, { clock }), daemon(store, { clock, host: "b" })];
  await a.scheduler.look();
  await b.scheduler.look();
  clock.pass(60_000);
  await a.scheduler.look();
  await b.scheduler.look(); // a's run is under way; then a is heard no more
  clock.pass(119_000);
  await b.scheduler.look();
  assert.equal(b.children.length, 0);
  clock.pass(2_000);
  await b.scheduler.look();
  assert.equal(b.children.length, 1);
  assert.deepEqual(types(b.events), ["leader", "fired"]);
  const [, fired] = b.events;
  assert.deepEqual(fired?.type === "fired" && [fired.start.attempt, fired.start.late], [2, true]);
});

Deno.test("Scheduler that was stopped for a while begins nothing once another one leads", async () => {
  const [store, clock] = [new MemoryStore(), new HandClock()];
  const [a, b] = [daemon(store, { clock }), daemon(store, { clock, host: "b" })];
  await a.scheduler.look();
  await b.scheduler.look();
  clock.pass(121_000); // a sleeps; the moment comes, and b sees it first
  await b.scheduler.look();
  assert.equal(b.children.length, 1);
  await a.scheduler.look();
  await a.scheduler.look();
  assert.equal(a.children.length, 0);
  assert.equal(a.ledger.leads, false);
});

Deno.test("Scheduler takes over at once from a dead process of its host", async () => {
  const [store, clock, alive] = [new MemoryStore(), new HandClock(), new Set<number>()];
  const a = daemon(store, { clock, alive });
  await a.scheduler.look();
  clock.pass(60_000);
  await a.scheduler.look();
  alive.clear(); // kill -9, the child with it
  const b = daemon(store, { clock, alive });
  await b.scheduler.look();
  assert.deepEqual(types(b.events), ["leader", "fired"]);
});

Deno.test("Scheduler that cannot see processes waits for the lease, and takes runs for lost", async () => {
  const [store, clock] = [new MemoryStore(), new HandClock()];
  const a = daemon(store, { clock, blind: true });
  await a.scheduler.look();
  clock.pass(60_000);
  await a.scheduler.look();
  const b = daemon(store, { clock, blind: true });
  await b.scheduler.look();
  clock.pass(119_000);
  await b.scheduler.look();
  assert.equal(b.children.length, 0);
  clock.pass(2_000);
  await b.scheduler.look();
  assert.deepEqual(types(b.events), ["leader", "fired"]);
});

Deno.test("Scheduler waits for a run that outlived its daemon, and does not repeat it", async () => {
  const [store, clock, alive] = [new MemoryStore(), new HandClock(), new Set<number>()];
  const a = daemon(store, { clock, alive });
  await a.scheduler.look();
  clock.pass(60_000);
  await a.scheduler.look();
  const survivor = a.children[0]!.pid;
  alive.clear();
  alive.add(survivor);
  const b = daemon(store, { clock, alive });
  await b.scheduler.look();
  assert.equal(b.children.length, 0);
  alive.delete(survivor);
  clock.pass(1000);
  await b.scheduler.look();
  await b.scheduler.look();
  assert.equal(b.children.length, 0);
  assert.deepEqual(types(b.events), ["leader", "finished unknown"]);
});

Deno.test("Scheduler gives up after three attempts", async () => {
  const [store, clock] = [new MemoryStore(), new HandClock()];
  let begun = 0;
  for (let life = 0; life < 6; life++) {
    const alive = new Set<number>();
    const one = daemon(store, { clock, alive });
    if (life === 0) {
      await one.scheduler.look();
      clock.pass(60_000);
    }
    await one.scheduler.look();
    begun += one.children.length;
    alive.clear();
    clock.pass(1000);
  }
  assert.equal(begun, 3);
});

Deno.test("Scheduler asks its children to end when it is stopped, and runs them again", async () => {
  const [store, clock] = [new MemoryStore(), new HandClock()];
  const a = daemon(store, { clock, onAsk: (child) => child.finish(130, "interrupted") });
  await a.scheduler.look();
  clock.pass(60_000);
  const controller = new AbortController();
  const running = a.scheduler.run(controller.signal);
  while (a.children.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  controller.abort();
  await running;
  assert.deepEqual(a.children[0]!.asked, ["ask"]);
  assert.equal(a.ledger.leads, false);
  const b = daemon(store, { clock, host: "b" });
  await b.scheduler.look();
  assert.deepEqual(types(b.events), ["leader", "fired"]);
});

Deno.test("Scheduler asks its children at once, also while the repository does not answer", async () => {
  const [memory, clock] = [new MemoryStore(), new HandClock()];
  const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let children: readonly HandChild[] = [];
  const store = storeWith(memory, {
    put: async (...call) => {
      if (children.length > 0) {
        asked.resolve();
        await answer.promise;
      }
      return await memory.put(...call);
    },
  });
  const a = daemon(store, { clock, onAsk: (child) => child.finish(130, "interrupted") });
  children = a.children;
  await a.scheduler.look();
  clock.pass(60_000);
  const controller = new AbortController();
  const running = a.scheduler.run(controller.signal);
  await asked.promise;
  controller.abort();
  assert.deepEqual(a.children[0]!.asked, ["ask"]);
  answer.resolve();
  await running;
  assert.deepEqual(types(a.events), ["leader", "fired", "finished interrupted"]);
  assert.equal(a.ledger.leads, false);
});

Deno.test("Scheduler kills a child that does not end", async () => {
  const [store, clock] = [new MemoryStore(), new HandClock()];
  const a = daemon(store, { clock });
  await a.scheduler.look();
  clock.pass(60_000);
  const stubborn = new Scheduler({
    ...{ entries: [ENTRY], cluster: "main", ledger: a.ledger, clock, host: "a" },
    isAlive: () => Promise.resolve(true),
    markOf: (pid) => Promise.resolve({ pid }),
    spawn: () => {
      const child = new HandChild(1);
      a.children.push(child);
      return child;
    },
    tell: () => {},
    // The wait for the children is over at once, every other one never.
    sleep: (milliseconds, signal) => milliseconds > 20_000 ? Promise.resolve() : until(signal),
  });
  const controller = new AbortController();
  const running = stubborn.run(controller.signal);
  while (a.children.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  controller.abort();
  await running;
  assert.deepEqual(a.children[0]!.asked, ["ask", "kill"]);
});

Deno.test("Scheduler runs other entries after a reload, and keeps all when it is refused", async () => {
  const [store, clock] = [new MemoryStore(), new HandClock()];
  const { scheduler, children } = daemon(store, { clock });
  await scheduler.look();
  assert.throws(() => scheduler.reload([{ ...ENTRY, cron: "99 * * * *" }]));
  assert.deepEqual(scheduler.snapshot().map(({ name }) => name), ["daily"]);
  scheduler.reload([{ ...ENTRY, name: "other", cron: "30 2 * * *" }]);
  await scheduler.look();
  clock.pass(60_000);
  await scheduler.look();
  assert.equal(children.length, 0);
  clock.pass(30 * 60_000);
  await scheduler.look();
  assert.equal(children.length, 1);
});

Deno.test("Scheduler waits for the run of an entry that a reload took away, and tells of its end", async () => {
  const [store, clock] = [new MemoryStore(), new HandClock()];
  const { scheduler, events, children } = daemon(store, { clock });
  await scheduler.look();
  clock.pass(60_000);
  await scheduler.look();
  scheduler.reload([{ ...ENTRY, name: "renamed", cron: "1 2 * * *" }]);
  await scheduler.look();
  clock.pass(60_000);
  await scheduler.look();
  assert.equal(children.length, 1, "two of a kind run beside each other");
  children[0]!.finish(3);
  await children[0]!.ended;
  await scheduler.look();
  assert.equal(children.length, 2);
  assert.deepEqual(types(events), ["leader", "fired", "finished failed", "fired"]);
});

Deno.test("Scheduler.once() runs what is due, one after the other of a kind, and ends", async () => {
  const [store, clock] = [new MemoryStore(), new HandClock()];
  const entries = [ENTRY, { ...ENTRY, name: "second" }];
  const first = daemon(store, { clock, entries });
  assert.deepEqual(await first.scheduler.once(new AbortController().signal), []);
  clock.pass(60_000);
  const { scheduler, children } = daemon(store, { clock, entries });
  const done = scheduler.once(new AbortController().signal);
  for (const [index, status] of [0, 6].entries()) {
    while (children.length <= index) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(children.length, index + 1);
    children[index]!.finish(status);
  }
  assert.deepEqual((await done).map(({ exitStatus }) => exitStatus), [0, 6]);
});
