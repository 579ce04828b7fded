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

const tight = [
  { title: "BACKUP" },
  { title: "METHOD", dropAt: 1 },
  { title: "LABEL", shortenTo: 6 },
  { title: "SIZE", align: "right", dropAt: 2 },
] as const;
const row = ["20261123T022415Z-F", "physical", "before-the-upgrade", "1.2 GB"];

Deno.test("formatTable() cuts what may be cut before it drops a column", () => {
  const table = (width: number | undefined) => formatTable(tight, [row], { width }).split("\n");
  assert.equal(table(undefined)[1], "20261123T022415Z-F  physical  before-the-upgrade  1.2 GB");
  assert.equal(table(56)[1], "20261123T022415Z-F  physical  before-the-upgrade  1.2 GB");
  assert.equal(table(46)[1], "20261123T022415Z-F  physical  before-~  1.2 GB");
  assert.equal(table(40)[1], "20261123T022415Z-F  before-the-~  1.2 GB");
  assert.equal(table(30)[1], "20261123T022415Z-F  before-th~");
  assert.equal(table(5)[1], "20261123T022415Z-F  befor~", "what may not go stays");
});

Deno.test("formatTable() keeps to the width that is asked for", () => {
  for (let width = 26; width < 70; width++) {
    for (const line of formatTable(tight, [row], { width, unicode: true }).split("\n")) {
      assert.ok(line.length <= width, `${width}: ${line}`);
    }
  }
});

Deno.test("formatTable() lets a last column go on below itself where it must", () => {
  const columns = [{ title: "STATUS", align: "right" }, { title: "MEANING", wrap: true }] as const;
  const rows = [["6", "the store did not answer, also after several tries"], ["7", "short"]];
  const lines = formatTable(columns, rows, { width: 36 }).split("\n");
  assert.deepEqual(lines.slice(1, 4), [
    "     6  the store did not answer,",
    "        also after several tries",
    "     7  short",
  ]);
  assert.equal(formatTable(columns, rows).split("\n").length, 4);
});

Deno.test("formatTable() drops columns for a last one that wraps only when it gets too narrow", () => {
  const columns = [
    { title: "BACKUP" },
    { title: "METHOD", dropAt: 1 },
    { title: "WHY", wrap: true },
  ] as const;
  const rows = [["20261123T022415Z-F", "physical", "the last of its week, and the newest of all"]];
  const table = (width: number) => formatTable(columns, rows, { width }).split("\n");
  assert.match(table(56)[1]!, /^20261123T022415Z-F {2}physical {2}the last of its week,/);
  assert.match(table(46)[1]!, /^20261123T022415Z-F {2}the last of its week,/);
  for (const width of [46, 56, 90]) {
    for (const line of table(width)) assert.ok(line.length <= width);
  }
});
