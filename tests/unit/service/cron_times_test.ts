import assert from "node:assert/strict";
import fc from "fast-check";
import { CronTimes } from "../../../src/service/service.ts";
import { campaignSeed, FULL_FAULTS, reportCampaign, trials } from "../../support/campaign.ts";
import { momentsOf, ZoneTable } from "../../support/cron_oracle.ts";
import { cronLines, YEARS, ZONES } from "../../support/cron_lines.ts";

const RUNS = trials({ full: 100_000, usual: 1_500 });
const DAY = 86_400_000;

function times(line: string, zone: string, { from, count = 3 }: { from: string; count?: number }) {
  const cron = new CronTimes(line, zone);
  const found: string[] = [];
  for (let time = cron.after(new Date(from)); time && found.length < count;) {
    found.push(time.toISOString().replace(/:00\.000Z$/, "Z"));
    time = cron.after(time);
  }
  return found;
}

const cases = [
  {
    name: "a fixed time that the clocks leap over runs when they leap",
    line: "30 2 * * *",
    zone: "America/New_York",
    from: "2026-03-07T12:00:00Z",
    expected: ["2026-03-08T07:00Z", "2026-03-09T06:30Z", "2026-03-10T06:30Z"],
  },
  {
    name: "so does one of several fixed times",
    line: "0 2,14 * * *",
    zone: "America/New_York",
    from: "2026-03-08T00:00:00Z",
    expected: ["2026-03-08T07:00Z", "2026-03-08T18:00Z", "2026-03-09T06:00Z"],
  },
  {
    name: "a fixed time that comes twice runs the first time",
    line: "30 1 * * *",
    zone: "America/New_York",
    from: "2026-10-31T12:00:00Z",
    expected: ["2026-11-01T05:30Z", "2026-11-02T06:30Z", "2026-11-03T06:30Z"],
  },
  {
    name: "every hour is every hour when the clocks go back",
    line: "0 * * * *",
    zone: "America/New_York",
    from: "2026-11-01T04:30:00Z",
    expected: ["2026-11-01T05:00Z", "2026-11-01T06:00Z", "2026-11-01T07:00Z"],
  },
  {
    name: "midnight that does not exist runs an hour later",
    line: "0 0 * * *",
    zone: "America/Sao_Paulo",
    from: "2018-11-03T12:00:00Z",
    expected: ["2018-11-04T03:00Z", "2018-11-05T02:00Z", "2018-11-06T02:00Z"],
  },
  {
    name: "a day of the month and a weekday are either of them",
    line: "0 0 13 * 5",
    zone: "UTC",
    from: "2026-01-01T00:00:00Z",
    expected: ["2026-01-02T00:00Z", "2026-01-09T00:00Z", "2026-01-13T00:00Z"],
  },
  {
    name: "a day that does not exist never runs",
    line: "0 0 30 2 *",
    zone: "UTC",
    from: "2026-01-01T00:00:00Z",
    expected: [],
  },
] as const;
for (const { name, line, zone, from, expected } of cases) {
  Deno.test(`CronTimes: ${name}`, () => assert.deepEqual(times(line, zone, { from }), expected));
}

Deno.test("CronTimes refuses what is no cron line, with the reason", () => {
  for (const line of ["99 * * * *", "* * * *", "0 0 * * 9", "*/0 * * * *", "0 0 * * MONX"]) {
    assert.throws(() => new CronTimes(line), {
      name: "UsageError",
      message: /is no cron line: \S/,
    });
  }
});

Deno.test(`CronTimes names the oracle's moments (${RUNS} lines around changes of clocks)`, () => {
  const tables = new Map(ZONES.map((zone) => [zone, new ZoneTable(zone, YEARS)]));
  const seed = campaignSeed() % 2 ** 31;
  let named = 0;
  fc.assert(
    fc.property(
      ...[cronLines, fc.constantFrom(...ZONES), fc.nat(), fc.double({ min: -2, max: 2 })] as const,
      (line, timezone, pick, days) => {
        const zone = tables.get(timezone)!;
        const near = zone.changes.filter(({ at }) =>
          at > YEARS.from + 9 * DAY && at < YEARS.to - 9 * DAY
        );
        const center = near.length > 0
          ? near[pick % near.length]!.at
          : YEARS.from + 9 * DAY + pick % (YEARS.to - YEARS.from - 18 * DAY);
        const from = Math.floor(center + (Number.isNaN(days) ? 0 : days) * DAY);
        const to = from + 4 * DAY;
        const expected = momentsOf(line, { zone, from, to });
        const cron = new CronTimes(line, timezone);
        const found: number[] = [];
        for (let time = cron.after(new Date(from)); time && time.getTime() <= to;) {
          found.push(time.getTime());
          if (found.length > 300) break;
          time = cron.after(time);
        }
        assert.deepEqual(found, expected.slice(0, 301), `${line} in ${timezone}`);
        named += found.length;
        const last = cron.lastBetween(new Date(from), new Date(to))?.getTime();
        if (expected.length <= 300) assert.equal(last, expected.at(-1), `${line}: the last one`);
      },
    ),
    { numRuns: RUNS, seed },
  );
  const outcome = `${named} moments, all the oracle's`;
  if (FULL_FAULTS) reportCampaign({ what: "cron lines and the oracle", n: RUNS, seed, outcome });
});
