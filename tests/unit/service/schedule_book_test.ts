import assert from "node:assert/strict";
import fc from "fast-check";
import { ScheduleBook, type ScheduleEntry } from "../../../src/service/service.ts";
import { campaignSeed, FULL_FAULTS, reportCampaign, trials } from "../../support/campaign.ts";
import { cronLines, YEARS, ZONES } from "../../support/cron_lines.ts";
import { ZoneTable } from "../../support/cron_oracle.ts";
import { live, type Step, type Tally } from "../../support/schedule_world.ts";

const RUNS = trials({ full: 100_000, usual: 1_000 });
const [SECOND, MINUTE, HOUR, DAY] = [1000, 60_000, 3_600_000, 86_400_000];

const tables = new Map(ZONES.map((zone) => [zone, new ZoneTable(zone, YEARS)]));

const entry = fc.record({
  cron: fc.oneof(cronLines, fc.constantFrom("* * * * *", "*/5 * * * *", "0 * * * *")),
  timezone: fc.constantFrom(...ZONES),
  kind: fc.constantFrom("backup", "backup", "prune", "verify"),
  jitterMs: fc.constantFrom(0, 0, 30 * SECOND, 10 * MINUTE, 3 * HOUR),
  missed: fc.constantFrom("run" as const, "skip" as const),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: pass(1, 10 * SECOND) },
  { weight: 12, arbitrary: pass(SECOND, 20 * MINUTE) },
  { weight: 4, arbitrary: pass(MINUTE, 6 * HOUR) },
  { weight: 1, arbitrary: leap(-2 * HOUR, 0) },
  { weight: 1, arbitrary: leap(0, 6 * HOUR) },
  { weight: 1, arbitrary: leap(-2 * DAY, 2 * DAY) },
  {
    weight: 4,
    arbitrary: fc.integer({ min: 0, max: 5 * HOUR }).map((downMs) => ({
      type: "crash" as const,
      downMs,
    })),
  },
);

function pass(min: number, max: number): fc.Arbitrary<Step> {
  return fc.integer({ min, max }).map((ms) => ({ type: "pass", ms }));
}

function leap(min: number, max: number): fc.Arbitrary<Step> {
  return fc.integer({ min, max }).map((ms) => ({ type: "leap", ms }));
}

Deno.test(`ScheduleBook decides as the rules do (${RUNS} schedules)`, () => {
  const seed = campaignSeed() % 2 ** 31;
  const tally: Tally = { starts: 0, late: 0, retries: 0, overlaps: 0, missed: 0, waits: 0 };
  fc.assert(
    fc.property(
      fc.array(entry, { minLength: 1, maxLength: 4 }),
      fc.array(step, { minLength: 5, maxLength: 40 }),
      fc.array(fc.integer({ min: SECOND, max: 2 * HOUR }), { minLength: 1, maxLength: 5 }),
      fc.nat(),
      (lines, steps, durations, pick) => {
        const zone = tables.get(lines[0]!.timezone)!;
        const near = zone.changes.filter(({ at }) =>
          at > YEARS.from + 40 * DAY && at < YEARS.to - 40 * DAY
        );
        const span = YEARS.to - YEARS.from - 80 * DAY;
        const start = near.length > 0
          ? near[pick % near.length]!.at - (pick % (2 * DAY))
          : YEARS.from + 40 * DAY + pick % span;
        const entries = lines.map((line, index) => ({
          ...line,
          name: `e${index}`,
          run: "test",
          args: ["test"],
          zone: tables.get(line.timezone)!,
        }));
        live({ entries, start, steps, durations }, tally);
      },
    ),
    { numRuns: RUNS, seed },
  );
  const what = "schedules and the rules over lists";
  if (FULL_FAULTS) reportCampaign({ what, n: RUNS, seed, outcome: JSON.stringify(tally) });
  for (const [what, count] of Object.entries(tally)) {
    assert.ok(count > RUNS / 40, `too few to mean anything: ${count} ${what}`);
  }
});

const DAILY: ScheduleEntry = {
  ...{ name: "daily", cron: "0 2 * * *", timezone: "UTC", run: "test", args: ["test"] },
  ...{ kind: "test", jitterMs: 0, missed: "run" },
};
const at = (text: string) => new Date(`${text}Z`);
const nothing = new Set<string>();

function bookOf(...entries: readonly Partial<ScheduleEntry>[]): ScheduleBook {
  return new ScheduleBook({
    entries: entries.map((entry) => ({ ...DAILY, ...entry })),
    seed: "main",
  });
}

Deno.test("ScheduleBook runs nothing of the past when it begins", () => {
  const plan = bookOf({}).plan(at("2026-03-01T12:00:00"), { states: new Map(), running: nothing });
  assert.deepEqual([plan.starts, plan.skips], [[], []]);
  assert.equal(plan.states.get("daily")?.due, "2026-03-01T12:00:00.000Z");
});

Deno.test("ScheduleBook makes up once for what was missed", () => {
  const states = new Map([["daily", { due: "2026-03-01T02:00:00.000Z" }]]);
  const book = bookOf({});
  const plan = book.plan(at("2026-03-09T12:00:00"), { states, running: nothing });
  assert.deepEqual(plan.starts.map(({ due, late }) => [due.toISOString(), late]), [
    ["2026-03-09T02:00:00.000Z", true],
  ]);
  const again = book.plan(at("2026-03-09T12:00:01"), { states: plan.states, running: nothing });
  assert.deepEqual(again.starts, []);
});

Deno.test("ScheduleBook lets pass what was missed when the entry says so", () => {
  const states = new Map([["daily", { due: "2026-03-01T02:00:00.000Z" }]]);
  const plan = bookOf({ missed: "skip" })
    .plan(at("2026-03-09T12:00:00"), { states, running: nothing });
  assert.deepEqual(plan.starts, []);
  assert.deepEqual(plan.skips.map(({ reason }) => reason), ["missed"]);
});

Deno.test("ScheduleBook begins anew when the clock was far ahead and is right again", () => {
  const states = new Map([["daily", { due: "2040-01-01T02:00:00.000Z" }]]);
  const book = bookOf({});
  const plan = book.plan(at("2026-03-01T01:59:00"), { states, running: nothing });
  assert.equal(plan.states.get("daily")?.due, "2026-03-01T01:59:00.000Z");
  const next = book.plan(at("2026-03-01T02:00:00"), { states: plan.states, running: nothing });
  assert.equal(next.starts.length, 1);
});

Deno.test("ScheduleBook never begins later than before the next moment, whatever the jitter", () => {
  const book = bookOf({ cron: "*/5 * * * *", jitterMs: DAY });
  const now = at("2026-03-01T00:00:00");
  for (let hour = 0; hour < 24; hour++) {
    const due = now.getTime() + hour * HOUR;
    const state = { due: new Date(due - 1).toISOString() };
    const next = book.nextRun("daily", { now: new Date(due - 1), state })!.getTime();
    assert.ok(next >= due && next < due + 5 * MINUTE);
  }
});
