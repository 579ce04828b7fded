import assert from "node:assert/strict";
import fc from "fast-check";
import { MiB } from "../../../src/domain/bytes.ts";
import { IntegrityError } from "../../../src/domain/errors.ts";
import { formatLsn } from "../../../src/domain/lsn.ts";
import {
  parseTimelineHistory,
  rootHistory,
  timelineStart,
} from "../../../src/domain/timeline_history.ts";
import {
  isOnHistory,
  timelineOfSegment,
  timelineOwner,
} from "../../../src/domain/timeline_path.ts";

/** As PostgreSQL 15 wrote it after two promotions. */
const REAL = "1\t0/3000110\tno recovery target specified\n\n" +
  "2\t0/5000000\tbefore 2026-11-23 02:24:15.678+00\n";

Deno.test("parseTimelineHistory() reads what PostgreSQL writes", () => {
  assert.deepEqual(parseTimelineHistory(3, REAL), {
    timeline: 3,
    ancestors: [
      { timeline: 1, switchLsn: 0x3000110n, reason: "no recovery target specified" },
      { timeline: 2, switchLsn: 0x5000000n, reason: "before 2026-11-23 02:24:15.678+00" },
    ],
  });
});

Deno.test("parseTimelineHistory() skips comments and empty lines", () => {
  const text = "# a comment\n   \n 1 0/10 \n  # more\n";
  assert.deepEqual(parseTimelineHistory(2, text).ancestors, [
    { timeline: 1, switchLsn: 0x10n, reason: "" },
  ]);
});

const DAMAGED = [
  { what: "a line without an LSN", timeline: 2, text: "1\n" },
  { what: "something else", timeline: 2, text: "<Error>\n" },
  { what: "timelines that go back", timeline: 4, text: "2\t0/10\tx\n1\t0/20\tx\n" },
  { what: "positions that go back", timeline: 4, text: "1\t0/20\tx\n2\t0/10\tx\n" },
  { what: "itself as a parent", timeline: 2, text: "2\t0/20\tx\n" },
  { what: "timeline 0", timeline: 2, text: "0\t0/20\tx\n" },
];
for (const { what, timeline, text } of DAMAGED) {
  Deno.test(`parseTimelineHistory() refuses ${what}`, () => {
    assert.throws(() => parseTimelineHistory(timeline, text), IntegrityError);
  });
}

const history = parseTimelineHistory(3, REAL);

Deno.test("timelineOwner() gives the switch position itself to the child", () => {
  assert.equal(timelineOwner(history, 0n), 1);
  assert.equal(timelineOwner(history, 0x300010fn), 1);
  assert.equal(timelineOwner(history, 0x3000110n), 2);
  assert.equal(timelineOwner(history, 0x5000000n), 3);
});

Deno.test("timelineStart() tells where each timeline begins", () => {
  assert.deepEqual([1, 2, 3, 4].map((timeline) => timelineStart(history, timeline)), [
    0n,
    0x3000110n,
    0x5000000n,
    undefined,
  ]);
  assert.equal(timelineStart(rootHistory(1), 1), 0n);
});

Deno.test("isOnHistory() refuses what an abandoned timeline did after the switch", () => {
  const on = (timeline: number, lsn: bigint) => isOnHistory(history, { timeline, lsn });
  assert.equal(on(1, 0x3000110n), true);
  assert.equal(on(1, 0x3000111n), false);
  assert.equal(on(2, 0x3000110n), true);
  assert.equal(on(2, 0x3000100n), false);
  assert.equal(on(3, 0x9000000n), true);
  assert.equal(on(4, 0x9000000n), false);
});

Deno.test("timelineOfSegment() names the segment of a switch for the child", () => {
  const owners = [0, 2, 3, 4, 5, 6].map((number) => timelineOfSegment(history, number, 16 * MiB));
  assert.deepEqual(owners, [1, 1, 2, 2, 3, 3]);
});

Deno.test("parseTimelineHistory() reads back any history (fast-check)", () => {
  const ancestors = fc.array(
    fc.record({
      gap: fc.integer({ min: 1, max: 9 }),
      lsn: fc.bigInt(0n, 1n << 40n),
      reason: fc.constantFrom("", "no recovery target specified", 'at restore point "x"'),
    }),
    { maxLength: 8 },
  );
  fc.assert(fc.property(ancestors, (steps) => {
    let timeline = 0;
    let lsn = 0n;
    const expected = steps.map((step) => {
      timeline += step.gap;
      lsn += step.lsn;
      return { timeline, switchLsn: lsn, reason: step.reason };
    });
    const text = expected.map((line) =>
      `${line.timeline}\t${formatLsn(line.switchLsn)}\t${line.reason}\n\n`
    ).join("");
    const parsed = parseTimelineHistory(timeline + 1, text);
    assert.deepEqual(parsed.ancestors, expected);
    for (const { switchLsn } of expected) {
      const owner = timelineOwner(parsed, switchLsn);
      assert.ok(isOnHistory(parsed, { timeline: owner, lsn: switchLsn }));
    }
  }));
});
