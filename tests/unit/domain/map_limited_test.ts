import assert from "node:assert/strict";
import fc from "fast-check";
import { mapLimited } from "../../../src/domain/map_limited.ts";

Deno.test("mapLimited() keeps the order and the limit", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(3)), fc.integer({ min: 1, max: 5 }), async (items, limit) => {
      let [underWay, most] = [0, 0];
      const results = await mapLimited(items, limit, async (turns, index) => {
        most = Math.max(most, ++underWay);
        for (let turn = 0; turn < turns; turn++) await Promise.resolve();
        underWay -= 1;
        return index * 10 + turns;
      });
      assert.deepEqual(results, items.map((turns, index) => index * 10 + turns));
      assert.ok(most <= limit);
    }),
  );
});

Deno.test("mapLimited() begins nothing after a failure and throws it when all have ended", async () => {
  const begun: number[] = [];
  let ended = 0;
  const result = mapLimited([0, 1, 2, 3, 4], 2, async (item) => {
    begun.push(item);
    await Promise.resolve();
    if (item === 0) throw new Error("first");
    await new Promise((resolve) => setTimeout(resolve, 0));
    ended += 1;
  });
  await assert.rejects(result, /first/);
  assert.deepEqual(begun, [0, 1]);
  assert.equal(ended, 1);
});
