import assert from "node:assert/strict";
import project from "../../../deno.json" with { type: "json" };
import { VERSION } from "../../../src/cli/version.ts";

Deno.test("the program says the version of deno.json", () => {
  assert.equal(VERSION, project.version);
});
