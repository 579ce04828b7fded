import assert from "node:assert/strict";
import { formatTable } from "../../../src/cli/table.ts";

const columns = [{ title: "NAME" }, { title: "LABEL" }, { title: "SIZE", align: "right" }] as const;

Deno.test("formatTable() aligns columns and leaves out those that are empty", () => {
  const table = formatTable(columns, [["a", "", "1"], ["bcdefg", "", "1000"]]);
  assert.equal(table, "NAME    SIZE\na          1\nbcdefg  1000\n");
});

Deno.test("formatTable() keeps every column of a table without rows", () => {
  assert.equal(formatTable(columns, []), "NAME  LABEL  SIZE\n");
});

Deno.test("formatTable() lets no name move the cursor or begin a line", () => {
  const table = formatTable(columns, [["a\u001b[2J\nb", "l", "1"]]);
  assert.equal(table.split("\n").length, 3);
  assert.match(table, /a\\u001b\[2J\\u000ab/);
});

Deno.test("formatTable() colours nothing but the titles", () => {
  const [head, row] = formatTable(columns, [["a", "b", "1"]], { color: true }).split("\n");
  assert.ok(head!.startsWith("\u001b[2m") && head!.endsWith("\u001b[0m"));
  assert.ok(!row!.includes("\u001b"));
});
