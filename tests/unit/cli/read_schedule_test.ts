import assert from "node:assert/strict";
import { readSchedule, scheduleFaults } from "../../../src/cli/schedule/read_schedule.ts";
import { splitWords } from "../../../src/cli/schedule/split_words.ts";
import { loadConfig } from "../../../src/config/config.ts";
import { ConfigError } from "../../../src/domain/errors.ts";
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

/** The lines of the refusal of these files, each a place, a key and what is wrong. */
async function refusal(...texts: readonly string[]): Promise<readonly string[]> {
  const folder = await Deno.makeTempDir();
  try {
    const defaultFiles = texts.map((_, index) => `${folder}/${index}.yaml`);
    for (const [index, file] of defaultFiles.entries()) {
      await Deno.writeTextFile(file, texts[index]!);
    }
    const options = { defaultFiles, env: {}, checkSchedule: scheduleFaults };
    const error = await loadConfig(options).then(() => undefined, (reason) => reason);
    if (error === undefined) return [];
    assert.ok(error instanceof ConfigError, String(error));
    const lines = error.message.replaceAll(`${folder}/`, "").split("\n");
    return lines.map((line) => line.trim()).filter((line) => !line.startsWith("the configuration"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function entry(...[name, cron, run]: readonly string[]): string {
  return `  - name: ${name}\n    cron: "${cron}"\n    run: ${run}\n`;
}

Deno.test("loadConfig() tells every fault of a schedule at once, in the order of the file", async () => {
  const entries = entry("full", "0 25 * * 0", "backup fulll") + entry("full", "bogus", "statusx");
  const lines = await refusal(`schedule:\n${entries}wal: { look_ahead: many }\n`);
  const expected = [
    /^0\.yaml:3:5: schedule\[0\]\.cron: "0 25 \* \* 0" is no cron line: /,
    /^0\.yaml:4:5: schedule\[0\]\.run: argument "fulll" is not known here; did you mean full\?$/,
    /^0\.yaml:5:5: schedule\[1\]\.name: "full" is the name of another entry, too$/,
    /^0\.yaml:6:5: schedule\[1\]\.cron: "bogus" is not a cron line of five fields such as /,
    /^0\.yaml:7:5: schedule\[1\]\.run: command "statusx" is not known; did you mean status\?$/,
    /^0\.yaml:8:8: wal\.look_ahead: "many" is not a whole number /,
  ];
  assert.equal(lines.length, expected.length, lines.join("\n"));
  for (const [index, line] of lines.entries()) assert.match(line, expected[index]!);
});

Deno.test("loadConfig() tells a schedule's faults beside those of sources seen together", async () => {
  const lines = await refusal(
    `schedule:\n${entry("full", "0 25 * * 0", "status")}repository: { type: s3 }\n`,
  );
  assert.equal(lines.length, 2, lines.join("\n"));
  assert.match(lines.join("\n"), /schedule\[0\]\.cron: .*\n.*repository\.type: is s3, but/);
});

Deno.test("loadConfig() leaves the commands of a schedule that another one replaces alone", async () => {
  const replaced = `schedule:\n${entry("full", "@daily", "statusx")}`;
  assert.deepEqual(await refusal(replaced, `schedule:\n${entry("full", "@daily", "status")}`), []);
  assert.equal((await refusal(replaced)).length, 1);
});

Deno.test("scheduleFaults() finds nothing in what is no schedule", () => {
  for (
    const schedule of [undefined, null, "x", {}, [null, 1, [], { name: 1, cron: [], run: {} }]]
  ) {
    assert.deepEqual(scheduleFaults({ tree: { schedule }, place: () => "" }), []);
  }
});
