import assert from "node:assert/strict";
import { counted } from "../../../src/domain/counted.ts";

Deno.test("counted() speaks of one in the singular", () => {
  const counts = [0, 1, 2].map((count) => counted(count, "file"));
  assert.deepEqual(counts, ["0 files", "1 file", "2 files"]);
  assert.equal(counted(2, "entry", "entries"), "2 entries");
});
