import assert from "node:assert/strict";
import fc from "fast-check";
import { planParts } from "../../../../src/engine/logical/plan_parts.ts";
import type { SnapshotTable } from "../../../../src/postgres/postgres.ts";

function table(name: string, bytes: number, ofExtension = false): SnapshotTable {
  return { schema: "public", name, bytes, ofExtension };
}

const plan = (sizes: readonly number[], streams = 2, leastBytes = 10) =>
  planParts(sizes.map((bytes, index) => table(`t${index}`, bytes)), { streams, leastBytes })
    .map((part) => part.map(({ bytes }) => bytes));

Deno.test("planParts() dumps large tables alone and small ones together", () => {
  assert.deepEqual(plan([1000, 300, 60, 60, 60, 50, 40]), [[1000], [300], [60, 60, 60, 50]]);
});

Deno.test("planParts() leaves a database to one pg_dump that is not worth two", () => {
  assert.deepEqual(plan([]), []);
  assert.deepEqual(plan([4, 3, 2]), []);
  assert.deepEqual(plan([0, 0]), []);
});

Deno.test("planParts() leaves tables of extensions and empty ones to the rest", () => {
  const tables = [table("config", 500, true), table("rows", 500), table("empty", 0)];
  const parts = planParts(tables, { streams: 2, leastBytes: 10 });
  assert.deepEqual(parts.map((part) => part.map(({ name }) => name)), [["rows"]]);
});

Deno.test("planParts() names at most 1000 tables, 200 in a part, each once", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 10_000 }), { maxLength: 3000 }),
      fc.integer({ min: 2, max: 8 }),
      (sizes, streams) => {
        const tables = sizes.map((bytes, index) => table(`t${index}`, bytes));
        const parts = planParts(tables, { streams, leastBytes: 100 });
        const names = parts.flat().map(({ name }) => name);
        assert.equal(new Set(names).size, names.length);
        assert.ok(names.length <= 1000 && parts.every(({ length }) => length > 0 && length <= 200));
        const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
        const rest = total - parts.flat().reduce((sum, { bytes }) => sum + bytes, 0);
        const wanted = Math.max(100, total / (streams * 4));
        assert.ok(names.length === 1000 || rest <= wanted, `${rest} of ${total} left`);
      },
    ),
    { numRuns: 50 },
  );
});
