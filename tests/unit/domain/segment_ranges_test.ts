import assert from "node:assert/strict";
import fc from "fast-check";
import { SegmentRanges } from "../../../src/domain/segment_ranges.ts";

const segment = fc.record({
  timeline: fc.integer({ min: 1, max: 2 }),
  number: fc.nat({ max: 12 }),
});

Deno.test("SegmentRanges holds what was added, in as few ranges as there can be", () => {
  fc.assert(fc.property(fc.array(segment), fc.array(segment), (before, added) => {
    const ranges = new SegmentRanges(
      before.map(({ timeline, number }) => ({ timeline, first: number, last: number + 1 })),
    );
    for (const { timeline, number } of added) ranges.add(timeline, number);
    const model = new Set([
      ...before.flatMap(({ timeline, number }) => [
        `${timeline}/${number}`,
        `${timeline}/${number + 1}`,
      ]),
      ...added.map(({ timeline, number }) => `${timeline}/${number}`),
    ]);
    for (let number = -1; number < 15; number++) {
      for (const timeline of [1, 2, 3]) {
        assert.equal(ranges.has(timeline, number), model.has(`${timeline}/${number}`));
      }
    }
    const list = ranges.list();
    for (const [index, { timeline, first }] of list.entries()) {
      const before = list[index - 1];
      assert.ok(before?.timeline !== timeline || before.last + 1 < first, JSON.stringify(list));
    }
  }));
});
