import assert from "node:assert/strict";
import { readSchedule } from "../../../src/cli/schedule/read_schedule.ts";
import { splitWords } from "../../../src/cli/schedule/split_words.ts";
import { loadConfig } from "../../../src/config/config.ts";
import { PROJECT_ROOT } from "../../support/paths.ts";

const cases: readonly (readonly [line: string, words: readonly string[]])[] = [
  ["backup full --label weekly", ["backup", "full", "--label", "weekly"]],
  ["  a   b\t c  ", ["a", "b", "c"]],
  [`--sql "my file.sql" x`, ["--sql", "my file.sql", "x"]],
  [`'a "b" c' "it's"`, [`a "b" c`, "it's"]],
  [`--policy="a=1, b=2"c`, ["--policy=a=1, b=2c"]],
  [`a\\ b "c\\"d" 'e\\f'`, ["a b", `c"d`, "e\\f"]],
  ["$HOME; rm * | x", ["$HOME;", "rm", "*", "|", "x"]],
  [`'' ""`, ["", ""]],
  ["", []],
];
for (const [line, words] of cases) {
  Deno.test(`splitWords() reads ${JSON.stringify(line)} as a shell would`, () => {
    assert.deepEqual(splitWords(line), words);
  });
}

for (const line of [`a "b`, "a 'b", `a "b\\"`, "a \\"]) {
  Deno.test(`splitWords() refuses ${JSON.stringify(line)}`, () => {
    assert.throws(() => splitWords(line), { name: "UsageError", message: /has no end/ });
  });
}

Deno.test("readSchedule() can run everything that config/config.yaml has", async () => {
  const loaded = await loadConfig({ file: `${PROJECT_ROOT}config/config.yaml`, env: {} });
  const entries = readSchedule(loaded);
  assert.deepEqual(entries.map(({ kind, args, missed }) => [kind, args[0], missed]), [
    ["backup", "backup", "run"],
    ["backup", "backup", "run"],
    ["prune", "prune", "run"],
  ]);
});
