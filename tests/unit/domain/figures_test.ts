import assert from "node:assert/strict";
import { readFigures } from "../../tasks/test.ts";

Deno.test("readFigures() sums the suites of a JUnit report", () => {
  const xml = `<testsuites name="deno test" tests="5" failures="1" errors="0">
    <testsuite name="a" tests="3" disabled="1" errors="0" failures="0"></testsuite>
    <testsuite name="b" tests="2" disabled="0" errors="0" failures="1"></testsuite></testsuites>`;
  assert.deepEqual(readFigures(xml), { passed: 3, failed: 1, skipped: 1 });
});
