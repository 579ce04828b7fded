import assert from "node:assert/strict";
import { UsageError } from "../../../../src/domain/errors.ts";
import {
  choosesAny,
  chooseTables,
  tableArguments,
} from "../../../../src/engine/logical/table_choice.ts";

Deno.test("chooseTables() takes names with and without a schema, as they are written", () => {
  const cases = [
    [["orders"], { schema: undefined, names: ["orders"] }],
    [["shop.Orders", "shop.lines"], { schema: "shop", names: ["Orders", "lines"] }],
    [['"a.b"."c ""d"""'], { schema: "a.b", names: ['c "d"'] }],
  ] as const;
  for (const [tables, wanted] of cases) assert.deepEqual(chooseTables(tables), wanted);
});

Deno.test("chooseTables() refuses what is no name, and tables of several schemas", () => {
  for (const table of ["", ".", "a.", ".b", "a.b.c", 'a"b', '"a']) {
    assert.throws(() => chooseTables([table]), UsageError, table);
  }
  assert.throws(() => chooseTables(["a.x", "b.y"]), /different schemas/);
  assert.throws(() => chooseTables(["a.x", "y"]), /different schemas/);
});

Deno.test("choosesAny() and tableArguments() heed the schema", () => {
  const choice = chooseTables(["shop.orders"]);
  assert.equal(choosesAny(choice, [{ schema: "shop", name: "orders" }]), true);
  assert.equal(choosesAny(choice, [{ schema: "old", name: "orders" }]), false);
  assert.equal(choosesAny(chooseTables(["orders"]), [{ schema: "old", name: "orders" }]), true);
  assert.deepEqual(tableArguments(choice), ["--table=orders", "--schema=shop"]);
});
