import assert from "node:assert/strict";
import { askedMethod } from "../../../src/cli/asked_method.ts";
import { readCommandLine } from "../../../src/cli/read_command_line.ts";
import type { Session } from "../../../src/cli/session.ts";
import { UsageError } from "../../../src/domain/errors.ts";

/** What the words of a `backup` come to when `backup.method` is `configured`. */
function asked(words: string, configured: "auto" | "logical" | "physical" = "auto") {
  const reading = readCommandLine(["backup", ...words.split(" ")], { color: false, width: 90 });
  assert.equal(reading.type, "command");
  const line = reading.type === "command" ? reading.line : assert.fail();
  assert.ok(line.command === "backup full" || line.command === "backup incremental");
  const session = { loaded: { config: { backup: { method: configured } } } } as Session;
  return askedMethod(line, session);
}

Deno.test("askedMethod() leaves a full backup to the configuration", () => {
  assert.equal(asked("full"), "auto");
  assert.equal(asked("full", "logical"), "logical");
  assert.equal(asked("full --method physical", "logical"), "physical");
  assert.equal(asked("full --database app", "auto"), "logical");
});

const physical = [
  "--fast-checkpoint",
  "--source stream",
  "--from-standby",
  "--max-rate 50M",
  "--wait-wal 1m",
  "--fail-on-corruption",
  "--no-resume",
];
for (const flag of physical) {
  Deno.test(`askedMethod() takes ${flag} for a physical backup`, () => {
    assert.equal(asked(`full ${flag}`), "physical");
    assert.equal(asked(`full ${flag}`, "logical"), "physical");
    assert.throws(() => asked(`full ${flag} --method logical`), UsageError);
    assert.throws(() => asked(`full ${flag} --database app`), UsageError);
  });
}

Deno.test("askedMethod() never makes a logical backup of an increment", () => {
  for (const configured of ["auto", "logical", "physical"] as const) {
    assert.equal(asked("incremental", configured), "physical");
    assert.equal(asked("incremental --method auto", configured), "physical");
  }
  assert.throws(() => asked("incremental --method logical"), UsageError);
  assert.throws(() => asked("incremental --database app"), UsageError);
});
