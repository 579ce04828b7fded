import assert from "node:assert/strict";
import { type Check, ok, warning } from "../../../src/cli/checks.ts";
import { nagiosReport } from "../../../src/cli/nagios_line.ts";

const failure = (name: string, message: string, status: number): Check => ({
  ...{ name, message, status, state: "failed" },
});

const cases: readonly {
  readonly name: string;
  readonly checks: readonly Check[];
  readonly text: string;
  readonly status: number;
}[] = [
  {
    name: "all is well",
    checks: [ok("a", "x"), {
      ...ok("b", "y"),
      figures: [{ label: "age", value: 5, unit: "s", warn: 9 }],
    }],
    text: "BACKUPCTL OK - 2 checks passed | age=5s;9",
    status: 0,
  },
  {
    name: "something is a warning",
    checks: [ok("a", "x"), warning("disk", "3 GB free", "make room")],
    text: "BACKUPCTL WARNING - disk: 3 GB free",
    status: 1,
  },
  {
    name: "something failed, and the warnings stay out of it",
    checks: [warning("disk", "3 GB free", "x"), failure("connection", "refused", 5)],
    text: "BACKUPCTL CRITICAL - connection: refused",
    status: 2,
  },
  {
    name: "something is stale",
    checks: [{ ...warning("newest full", "9 days old", "x"), stale: true }],
    text: "BACKUPCTL CRITICAL - newest full: 9 days old",
    status: 2,
  },
  {
    name: "the configuration is wrong",
    checks: [failure("configuration", "a: unknown key\n  b: is missing", 4)],
    text: "BACKUPCTL UNKNOWN - configuration: a: unknown key;   b: is missing",
    status: 3,
  },
  {
    name: "a message holds a bar and a control character",
    checks: [failure("repository", "a|b\u001b[2J", 6)],
    text: "BACKUPCTL CRITICAL - repository: a/b\\u001b[2J",
    status: 2,
  },
];
for (const { name, checks, text, status } of cases) {
  Deno.test(`nagiosReport() says ${status} when ${name}`, () => {
    assert.deepEqual(nagiosReport(checks), { text, status });
  });
}

Deno.test("nagiosReport() is one line of bounded length", () => {
  const { text } = nagiosReport([failure("a", "x\n".repeat(5000), 1)]);
  assert.ok(text.length < 1024 && !text.includes("\n"));
});
