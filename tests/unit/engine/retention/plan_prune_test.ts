/** Each rule of a policy by examples; docs/retention.md says the same in words. */
import assert from "node:assert/strict";
import { parseRetentionPolicy } from "../../../../src/domain/retention_policy.ts";
import { periodOf } from "../../../../src/engine/retention/period_of.ts";
import { planPrune } from "../../../../src/engine/retention/plan_prune.ts";
import type { PruneBackup, PruneSystem } from "../../../../src/engine/retention/prune_model.ts";

const MiB = 1024 * 1024;
const HOUR = 3_600_000;
const NOW = Date.UTC(2026, 10, 23, 12);
let serial = 0;

/** One that ended at a time; a number is days before now. */
function backup(
  ended: string | number,
  more: Partial<PruneBackup> & { readonly at?: number; readonly timeline?: number } = {},
): PruneBackup {
  const { at, timeline = 1, ...rest } = more;
  const stoppedAt = typeof ended === "number" ? NOW - ended * 24 * HOUR : Date.parse(ended);
  serial += 1;
  return {
    ...{ id: `B${serial}`, method: "physical", kind: "full", parentId: null, storedBytes: 1 },
    stoppedAt,
    ...(rest.method === "logical" && { databases: { all: true, names: ["app", "shop"] } }),
    wal: at === undefined ? null : {
      timeline,
      startLsn: BigInt(at * MiB + 40),
      stopLsn: BigInt((at + 1) * MiB + 300),
    },
    ...rest,
  };
}

function plan(
  policy: string,
  { systemIdentifier = "1", wal = [], histories = new Map(), ...system }:
    & Partial<PruneSystem>
    & Pick<PruneSystem, "backups">,
) {
  const systems = [{ systemIdentifier, segmentBytes: MiB, wal, histories, ...system }];
  return planPrune({ systems, policy: parseRetentionPolicy(policy), now: NOW });
}

function kept(policy: string, backups: readonly PruneBackup[]): readonly number[] {
  const left = new Set(plan(policy, { backups }).keep.map(({ backup }) => backup.id));
  return backups.flatMap(({ id }, index) => left.has(id) ? [index] : []);
}

const daily = Array.from({ length: 40 }, (_, index) => backup(39 - index + 0.1));

const rules:
  readonly (readonly [policy: string, backups: readonly PruneBackup[], left: number[]])[] = [
    ["last-retain=3", daily, [37, 38, 39]],
    ["last-retain=1,min-redundancy=2", daily, [38, 39]],
    ["daily-retain=2", daily, [38, 39]],
    // 23 November 2026 is a Monday: its week has one backup, the others end with a Sunday.
    ["weekly-retain=3", daily, [31, 38, 39]],
    ["monthly-retain=3,weekly-retain=1", daily, [16, 39]],
    ["yearly-retain=5", daily, [39]],
    ["pitr-window=3d", daily, [36, 37, 38, 39]],
    ["hourly-retain=2", [
      backup("2026-11-23T01:10:00Z"),
      backup("2026-11-23T01:50:00Z"),
      backup("2026-11-23T02:00:00Z"),
    ], [1, 2]],
  ];
for (const [policy, backups, left] of rules) {
  Deno.test(`planPrune() keeps what ${policy} says`, () => {
    const withPlace = backups.map((one, at) => ({ ...one, wal: backup(0, { at }).wal }));
    assert.deepEqual(kept(policy, withPlace), left);
    assert.deepEqual(kept(policy, withPlace.toReversed()).length, left.length, "in any order");
  });
}

Deno.test("planPrune() orders by the end, whatever the names say", () => {
  const older = backup(5, { id: "Z", at: 9 });
  const newer = backup(1, { id: "A", at: 1 });
  assert.deepEqual(kept("last-retain=1", [older, newer]), [1]);
});

Deno.test("planPrune() counts physical and logical backups apart", () => {
  const backups = [
    backup(9, { at: 1 }),
    backup(8, { method: "logical" }),
    backup(7, { at: 2 }),
    backup(6, { method: "logical" }),
  ];
  assert.deepEqual(kept("last-retain=1", backups), [2, 3]);
});

const whole = (ended: number) => backup(ended, { method: "logical" });
const of = (ended: number, ...names: readonly string[]) =>
  backup(ended, { method: "logical", databases: { all: false, names } });
const sealed = (ended: number, all = false) =>
  backup(ended, { method: "logical", databases: { all, names: null } });

const choices:
  readonly (readonly [what: string, backups: readonly PruneBackup[], left: number[]])[] = [
    ["one database is not all of them", [whole(3), of(1, "shop")], [0, 1]],
    ["neither of two databases is the other", [of(2, "app"), of(1, "shop")], [0, 1]],
    ["all of them hold each of them", [of(3, "shop"), of(2, "app", "shop"), whole(1)], [2]],
    ["several hold one of them", [of(3, "shop"), of(2, "app"), of(1, "app", "shop")], [2]],
    ["those that were chosen are not all, whatever they are", [whole(2), of(1, "app", "shop")], [
      ...[0, 1],
    ]],
    ["one that all of them no longer hold", [of(2, "old"), whole(1)], [0, 1]],
    ["the same choice twice", [whole(4), of(3, "shop"), of(2, "shop"), whole(1.5), of(1, "shop")], [
      ...[3, 4],
    ]],
    ["names that are sealed", [sealed(5), sealed(4), of(3, "shop"), whole(1)], [0, 1, 3]],
    ["sealed names of all of them", [sealed(5, true), of(4, "shop"), sealed(3, true)], [1, 2]],
    ["nothing is known", [{ ...whole(9), databases: undefined! }, whole(1)], [0, 1]],
  ];
for (const [what, backups, left] of choices) {
  Deno.test(`planPrune() counts logical backups apart by their databases: ${what}`, () => {
    for (const policy of ["last-retain=1", "logical-retain=1", "yearly-retain=1"]) {
      assert.deepEqual(kept(policy, backups), left, policy);
    }
  });
}

Deno.test("planPrune() gives each choice of databases its own days", () => {
  const days = [2.2, 1.2, 0.2].flatMap((ago) => [of(ago, "app"), of(ago - 0.1, "shop")]);
  assert.deepEqual(kept("daily-retain=2", [whole(9), ...days]), [0, 3, 4, 5, 6]);
  const { keep } = plan("daily-retain=2", { backups: [whole(9), ...days] });
  assert.deepEqual(keep.map(({ reasons }) => reasons[0]), [
    "the newest logical backup of all databases",
    ...["daily-retain=2 (2026-11-22)", "daily-retain=2 (2026-11-22)"],
    ...["the newest logical backup with app", "the newest logical backup with shop"],
  ]);
});

Deno.test("planPrune() lets nothing give way to a backup of all that goes itself", () => {
  const first = backup(3, { method: "logical", databases: { all: true, names: ["old", "app"] } });
  assert.deepEqual(kept("last-retain=1", [of(4, "old"), first, whole(1)]), [0, 2]);
});

Deno.test("planPrune() leaves a kind alone that no rule is for", () => {
  const backups = [
    backup(90, { at: 1 }),
    backup(80, { method: "logical" }),
    backup(70, { at: 2 }),
    backup(60, { method: "logical" }),
  ];
  assert.deepEqual(kept("pitr-window=1d", backups), [1, 2, 3]);
  assert.deepEqual(kept("logical-retain=1", backups), [0, 2, 3]);
  assert.deepEqual(kept("full-retain=1", backups), [2, 3]);
});

Deno.test("planPrune() judges two systems apart and never takes the newest of one", () => {
  const policy = parseRetentionPolicy("last-retain=1");
  const none = { wal: [], histories: new Map(), segmentBytes: MiB };
  const old = { systemIdentifier: "1", backups: [backup(50, { at: 1 }), backup(40, { at: 2 })] };
  const young = { systemIdentifier: "2", backups: [backup(2, { at: 1 }), backup(1, { at: 2 })] };
  const systems = [{ ...none, ...old }, { ...none, ...young }];
  const { keep } = planPrune({ systems, policy, now: NOW });
  assert.deepEqual(keep.map(({ backup }) => backup), [old.backups[1], young.backups[1]]);
});

Deno.test("planPrune() keeps the chain of an increment and removes increments first", () => {
  const full = backup(9, { at: 1 });
  const middle = backup(8, { at: 3, kind: "incremental", parentId: full.id });
  const last = backup(7, { at: 5, kind: "incremental", parentId: middle.id });
  const other = backup(6, { at: 7, kind: "incremental", parentId: full.id });
  assert.deepEqual(kept("last-retain=1", [full, middle, last, other]), [0, 3]);
  const alone = backup(1, { at: 9 });
  const { remove, keep } = plan("last-retain=1", {
    backups: [full, middle, last, other, alone],
  });
  assert.deepEqual(remove.map(({ backup }) => backup.id), [last.id, middle.id, other.id, full.id]);
  assert.deepEqual(keep[0]!.reasons, ["the newest physical backup", "last-retain=1"]);
});

Deno.test("planPrune() with full-retain keeps the increments of the fulls that stay", () => {
  const first = backup(9, { at: 1 });
  const gone = backup(8, { at: 2, kind: "incremental", parentId: first.id });
  const second = backup(7, { at: 3 });
  const stays = backup(6, { at: 4, kind: "incremental", parentId: second.id });
  assert.deepEqual(kept("full-retain=1", [first, gone, second, stays]), [2, 3]);
});

Deno.test("planPrune() refuses an increment without what it builds on", () => {
  const lost = backup(5, { at: 1, kind: "incremental", parentId: "gone" });
  const [a, b] = [backup(4, { at: 2, id: "a" }), backup(3, { at: 3, id: "b" })];
  assert.throws(() => plan("last-retain=1", { backups: [lost] }), /builds on gone, which is not/);
  const circle = [{ ...a, parentId: "b" }, { ...b, parentId: "a" }];
  assert.throws(() => plan("last-retain=1", { backups: circle }), /in a circle/);
});

Deno.test("planPrune() keeps what is pinned until then", () => {
  const pinned = backup(9, { at: 1, pin: { until: null } });
  const over = backup(8, { at: 2, pin: { until: NOW - 1 } });
  const still = backup(7, { at: 3, pin: { until: NOW + 1 } });
  const used = backup(6, { at: 4, inUseBy: "a restore on db2" });
  const newest = backup(5, { at: 5 });
  assert.deepEqual(kept("last-retain=1", [pinned, over, still, used, newest]), [0, 2, 3, 4]);
});

Deno.test("planPrune() counts no backup of the future, and removes none", () => {
  const future = backup("2027-06-01T00:00:00Z", { at: 9 });
  const today = backup(1, { at: 2 });
  assert.deepEqual(kept("last-retain=1", [backup(9, { at: 1 }), today, future]), [1, 2]);
});

const row = (timeline: number, first: number, last: number, storedAt = NOW - HOUR) => ({
  ...{ timeline, first, last, storedAt, bytes: last - first + 1 },
});

function walLeft(policy: string, system: Parameters<typeof plan>[1]): readonly string[] {
  return plan(policy, system).wal.filter(({ keep }) => keep)
    .map(({ timeline, first, last }) => `${timeline}:${first}-${last}`);
}

Deno.test("planPrune() without a window keeps the log from the oldest kept backup on", () => {
  const backups = [backup(30, { at: 5 }), backup(20, { at: 10 }), backup(1, { at: 20 })];
  const wal = [row(1, 1, 4), row(1, 5, 6), row(1, 7, 9), row(1, 10, 11), row(1, 12, 30)];
  assert.deepEqual(walLeft("last-retain=2", { backups, wal }), ["1:10-11", "1:12-30"]);
});

Deno.test("planPrune() outside the window keeps only start to stop of kept backups", () => {
  const monthly = backup("2026-09-30T00:00:00Z", { at: 5 });
  const backups = [monthly, backup(20, { at: 10 }), backup(1, { at: 20 })];
  const wal = [row(1, 1, 4), row(1, 5, 6), row(1, 7, 9), row(1, 10, 11), row(1, 12, 30)];
  assert.deepEqual(walLeft("monthly-retain=2,pitr-window=10d", { backups, wal }), [
    ...["1:5-6", "1:10-11", "1:12-30"],
  ]);
});

for (
  const [what, ended, left] of [
    ["ahead", ["2027-06-01T00:00:00Z"], ["1:10-11", "1:12-30"]],
    ["behind", [3, "2020-06-01T00:00:00Z"], ["1:10-11", "1:12-19", "1:20-21", "1:22-30"]],
  ] as const
) {
  Deno.test(`planPrune() keeps the window's log when a clock was far ${what}`, () => {
    const backups = ended.map((time, index) => backup(time, { at: 10 + 10 * index }));
    const wal = [row(1, 1, 9), row(1, 10, 11)];
    if (backups.length === 1) wal.push(row(1, 12, 30));
    else wal.push(row(1, 12, 19), row(1, 20, 21), row(1, 22, 30));
    assert.deepEqual(walLeft("pitr-window=14d", { backups, wal }), left);
  });
}

Deno.test("planPrune() keeps the log of every timeline that the window's base leads to", () => {
  const histories = new Map([
    [2, { timeline: 2, ancestors: [{ timeline: 1, switchLsn: BigInt(15 * MiB + 9), reason: "" }] }],
    [3, { timeline: 3, ancestors: [{ timeline: 1, switchLsn: BigInt(4 * MiB), reason: "" }] }],
  ]);
  const backups = [backup(20, { at: 10 })];
  const month = NOW - 30 * 24 * HOUR;
  const wal = [
    ...[row(1, 1, 9), row(1, 10, 11), row(1, 12, 16), row(2, 15, 30)],
    ...[row(3, 4, 8, month)],
  ];
  assert.deepEqual(walLeft("pitr-window=10d", { backups, wal, histories }), [
    ...["1:10-11", "1:12-16", "2:15-30"],
  ], "timeline 3 left before the backup, and long ago");
  const lately = wal.map((piece) => ({ ...piece, storedAt: NOW - HOUR }));
  assert.ok(walLeft("pitr-window=10d", { backups, wal: lately, histories }).includes("3:4-8"));
});

Deno.test("planPrune() keeps the segment of a switch under both its names", () => {
  const histories = new Map([
    [2, { timeline: 2, ancestors: [{ timeline: 1, switchLsn: BigInt(10 * MiB + 9), reason: "" }] }],
  ]);
  const backups = [backup(1, { at: 10, timeline: 2 })];
  const wal = [row(1, 9, 9), row(1, 10, 10), row(1, 11, 11), row(2, 10, 20)];
  const left = walLeft("pitr-window=1h", {
    ...{ backups, histories },
    wal: wal.map((piece) => ({ ...piece, storedAt: NOW - 90 * 24 * HOUR })),
  });
  assert.deepEqual(left.filter((piece) => /:10/.test(piece)), ["1:10-10", "2:10-20"]);
  assert.ok(!left.includes("1:9-9"));
});

const FORKED = new Map([
  [2, { timeline: 2, ancestors: [{ timeline: 1, switchLsn: BigInt(15 * MiB + 9), reason: "" }] }],
]);

Deno.test("planPrune() keeps a backup that leads to the timeline that goes on", () => {
  const backups = [
    ...[backup(40, { at: 1 }), backup(30, { at: 10 }), backup(20, { at: 20 })],
    backup(19, { at: 30 }),
  ];
  const long = NOW - 19 * 24 * HOUR;
  const wal = [
    ...[row(1, 1, 2, long), row(1, 3, 9, long), row(1, 10, 11, long), row(1, 12, 15, long)],
    ...[row(1, 16, 31, long), row(2, 15, 30)],
  ];
  const system = { backups, wal, histories: FORKED };
  const { keep } = plan("last-retain=2", system);
  assert.deepEqual(keep.map(({ backup }) => backup), backups.slice(1));
  assert.deepEqual(keep[0]!.reasons, ["the newest that leads to timeline 2, which goes on"]);
  assert.deepEqual(walLeft("last-retain=2", system), [
    ...["1:10-11", "1:12-15", "1:16-31", "2:15-30"],
  ]);
  const then = backup(1, { at: 31, timeline: 2 });
  const later = plan("last-retain=1", { ...system, backups: [...backups, then] });
  assert.deepEqual(later.keep.map(({ backup }) => backup), [then], "with one of its own");
});

for (const policy of ["last-retain=1", "pitr-window=1d"]) {
  Deno.test(`planPrune() with ${policy} keeps what leads to a timeline that has rested`, () => {
    const backups = [backup(50, { at: 10 }), backup(40, { at: 20 })];
    const old = (days: number) => NOW - days * 24 * HOUR;
    const wal = [row(1, 10, 15, old(49)), row(1, 16, 31, old(40)), row(2, 15, 30, old(39))];
    const system = { backups, wal, histories: FORKED };
    assert.deepEqual(plan(policy, system).remove, []);
    assert.deepEqual(walLeft(policy, system), ["1:10-15", "1:16-31", "2:15-30"]);
  });
}

Deno.test("planPrune() keeps the log of a backup that began on an earlier timeline", () => {
  const histories = new Map([
    [2, { timeline: 2, ancestors: [{ timeline: 1, switchLsn: BigInt(6 * MiB + 9), reason: "" }] }],
  ]);
  const promoted = backup("2026-09-30T00:00:00Z", {
    wal: { timeline: 2, startLsn: BigInt(5 * MiB), stopLsn: BigInt(6 * MiB + 99) },
  });
  const backups = [promoted, backup(20, { at: 10, timeline: 2 })];
  const wal = [row(1, 4, 4), row(1, 5, 5), row(1, 6, 6), row(2, 6, 6), row(2, 7, 30)];
  assert.deepEqual(walLeft("monthly-retain=3,pitr-window=1d", { backups, wal, histories }), [
    ...["1:5-5", "1:6-6", "2:6-6", "2:7-30"],
  ]);
});

Deno.test("planPrune() keeps all of the log while there is no physical backup", () => {
  const backups = [backup(1, { method: "logical" })];
  assert.deepEqual(walLeft("last-retain=1", { backups, wal: [row(1, 1, 9)] }), ["1:1-9"]);
});

Deno.test("planPrune() keeps the log that a restore reads, on every timeline", () => {
  const backups = [backup(1, { at: 50 })];
  const wal = [row(1, 1, 4), row(1, 5, 9), row(2, 8, 9, 0)];
  const options = { backups, wal, walInUseFrom: 6 };
  assert.deepEqual(walLeft("last-retain=1", options), ["1:5-9", "2:8-9"]);
});

Deno.test("planPrune() removes side files whose segments may go, and no others", () => {
  const backups = [backup(1, { at: 10 })];
  const side = (number: number) => ({ ...row(1, number, number), key: `s${number}` });
  const { sideFiles } = plan("last-retain=1", {
    backups,
    sideFiles: [side(3), side(10), side(99)],
  });
  assert.deepEqual(sideFiles.map(({ key }) => key), ["s3"]);
});

const weeks = [
  ["2026-11-23T00:00:00Z", "2026-W48"],
  ["2026-11-22T23:59:59Z", "2026-W47"],
  ["2027-01-01T00:00:00Z", "2026-W53"],
  ["2024-12-30T00:00:00Z", "2025-W01"],
  ["2021-01-03T12:00:00Z", "2020-W53"],
] as const;
for (const [moment, week] of weeks) {
  Deno.test(`periodOf() puts ${moment} into ${week}`, () => {
    assert.equal(periodOf(Date.parse(moment), "weekly"), week);
  });
}
