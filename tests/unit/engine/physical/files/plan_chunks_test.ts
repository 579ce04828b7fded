import assert from "node:assert/strict";
import fc from "fast-check";
import { GiB, MiB } from "../../../../../src/domain/bytes.ts";
import { planChunks } from "../../../../../src/engine/physical/files/plan_chunks.ts";

Deno.test("planChunks() puts every file into one chunk, long ones alone, the dearest first", () => {
  const sizes = fc.array(fc.oneof(fc.nat({ max: 9 * MiB }), fc.nat({ max: GiB })), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 8 }), (sizes, threads) => {
      const files = sizes.map((size, index) => ({ path: `base/5/${index}`, size, modifiedAt: 0 }));
      const chunks = planChunks(files, { threads });
      const paths = chunks.flatMap(({ files }) => files.map(({ path }) => path));
      assert.deepEqual(paths.toSorted(), files.map(({ path }) => path).toSorted());
      for (const { files } of chunks) {
        assert.ok(files.length === 1 || files.every(({ size }) => size < 128 * MiB));
        assert.ok(files.length === 1 || files.reduce((sum, { size }) => sum + size, 0) < 256 * MiB);
      }
      const costs = chunks.map(({ cost }) => cost);
      assert.deepEqual(costs, costs.toSorted((one, other) => other - one));
    }),
    { numRuns: 100 },
  );
});

Deno.test("planChunks() gives every thread something of a small cluster, and little requests to it", () => {
  const files = Array.from(
    { length: 900 },
    (_, index) => ({ path: `${index}`, size: MiB / 8, modifiedAt: 0 }),
  );
  assert.ok(planChunks(files, { threads: 4 }).length >= 8);
  assert.equal(planChunks(files.slice(0, 30), { threads: 4 }).length, 1);
});
