import assert from "node:assert/strict";
import fc from "fast-check";
import { columnOf, drawAxis } from "../../../../src/cli/status/chart_axis.ts";
import { type Lanes, lanesOf } from "../../../../src/cli/status/chart_lanes.ts";
import { drawChart } from "../../../../src/cli/status/draw_chart.ts";
import { sparkline } from "../../../../src/cli/status/sparkline.ts";
import { checkGolden } from "../../../support/golden.ts";
import { sampleStatus } from "../../../support/status_samples.ts";

const NOW = Date.UTC(2026, 10, 23, 8);
const HOUR = 3_600_000;

for (const [width, unicode] of [[80, true], [140, true], [80, false]] as const) {
  const form = `${width}-${unicode ? "unicode" : "ascii"}`;
  Deno.test(`drawChart() of ${form} is the picture that is kept`, async () => {
    const found = await sampleStatus();
    const text = drawChart(lanesOf(found, found.backups), { width, unicode });
    await checkGolden(`status/chart-${form}.txt`, text);
  });
}

const time = fc.integer({ min: 0, max: 5 * 365 * 24 }).map((hours) => NOW - hours * HOUR);
const span = fc.tuple(time, time).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }));
const lanes: fc.Arbitrary<Lanes> = fc.record({
  timelines: fc.uniqueArray(
    fc.record({
      timeline: fc.integer({ min: 1, max: 40 }),
      windows: fc.array(span, { maxLength: 4 }),
      gaps: fc.array(span, { maxLength: 3 }),
    }),
    { maxLength: 3, selector: ({ timeline }) => timeline },
  ),
  marks: fc.array(
    fc.record({
      kind: fc.constantFrom("full" as const, "increment", "logical", "unfinished"),
      time,
      isDamaged: fc.boolean(),
    }),
    { maxLength: 40 },
  ),
  storage: fc.array(fc.record({ time, bytes: fc.nat() }), { maxLength: 10 })
    .map((all) => all.toSorted((a, b) => a.time - b.time)),
  now: fc.constant(NOW),
});

Deno.test("drawChart() keeps to its width and loses no mark and no gap", () => {
  const property = fc.property(lanes, fc.integer({ min: 32, max: 200 }), (drawn, width) => {
    const lines = drawChart(drawn, { width, unicode: false }).split("\n");
    for (const line of lines) assert.ok(line.length <= width, line);
    for (const { timeline, gaps } of drawn.timelines) {
      const line = lines.find((text) => text.startsWith(`timeline ${timeline} `))?.slice(12);
      if (gaps.length > 0) assert.ok(line?.includes("-"), `timeline ${timeline}`);
    }
    for (const kind of ["full", "increment", "logical", "unfinished"]) {
      const marks = drawn.marks.filter((mark) => mark.kind === kind);
      const cells = lines.find((text) => text.startsWith(kind))?.slice(12) ?? "";
      const counted = [...cells].reduce(
        (sum, cell) => sum + (Number(cell) || (cell === " " ? 0 : 1)),
        0,
      );
      const uncertain = cells.includes("+") || cells.includes("X");
      assert.ok(uncertain ? counted > 0 : counted === marks.length, `${kind}: ${cells}`);
      assert.equal(cells.includes("X"), marks.some(({ isDamaged }) => isDamaged));
    }
  });
  fc.assert(property, { numRuns: 300 });
});

Deno.test("drawChart() needs nothing but ASCII where nothing else shows", () => {
  const property = fc.property(lanes, (drawn) => {
    assert.match(drawChart(drawn, { width: 80, unicode: false }), /^[\x20-\x7e\n]*$/);
  });
  fc.assert(property, { numRuns: 100 });
});

Deno.test("drawChart() of nothing is empty", () => {
  const nothing = { timelines: [], marks: [], storage: [], now: NOW };
  assert.equal(drawChart(nothing, { width: 80, unicode: true }), "");
});

Deno.test("drawAxis() puts each label at its tick, and none over another", () => {
  const property = fc.property(
    fc.integer({ min: 600_000, max: 20 * 365 * 24 * HOUR }),
    fc.integer({ min: 20, max: 190 }),
    (length, columns) => {
      const scale = { from: NOW - length, to: NOW, columns };
      const [rule, labels] = drawAxis(scale, { unicode: false });
      assert.equal(rule.length, columns);
      assert.ok(labels.length <= columns);
      const words = labels.split(/ +/).filter((word) => word !== "");
      for (const word of words) assert.match(word, /^(\d\d:\d\d|\d\d-\d\d|\d{4}-\d\d)$/);
      assert.ok(words.length <= [...rule].filter((cell) => cell === "+").length);
      assert.ok(columns < 40 || words.length > 0, `${length} on ${columns}: ${rule}`);
    },
  );
  fc.assert(property, { numRuns: 500 });
});

Deno.test("columnOf() puts what is outside at the edge", () => {
  const scale = { from: 1000, to: 2000, columns: 10 };
  assert.deepEqual([0, 1000, 1099, 1100, 1999, 2000, 9999].map((at) => columnOf(scale, at)), [
    ...[0, 0, 0, 1, 9, 9, 9],
  ]);
});

Deno.test("sparkline() has a bar for each figure, the greatest the highest", () => {
  assert.equal(sparkline([0, 1, 50, 100], { unicode: true }), " ▁▅█");
  assert.equal(sparkline([0, 1, 50, 100], { unicode: false }), " 159");
  assert.equal(sparkline([0, 0], { unicode: true }), "  ");
});
