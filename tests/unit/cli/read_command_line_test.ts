import assert from "node:assert/strict";
import fc from "fast-check";
import { readCommandLine } from "../../../src/cli/read_command_line.ts";
import { UsageError } from "../../../src/domain/errors.ts";
import { PROJECT_ROOT } from "../../support/paths.ts";

const read = (args: readonly string[]) => readCommandLine(args, { color: false, width: 90 });

/** The command line that these arguments are. */
function line(args: readonly string[]) {
  const reading = read(args);
  assert.equal(reading.type, "command");
  return reading.type === "command" ? reading.line : assert.fail();
}

/** The refusal of these arguments. */
function refusal(args: readonly string[]): UsageError {
  try {
    read(args);
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error;
  }
  return assert.fail(`${args.join(" ")} was accepted`);
}

Deno.test("readCommandLine() takes the flags of a full backup", () => {
  const args = "backup full --label primeiro-backup --method physical --jobs 3 --max-rate 50M " +
    "--fast-checkpoint --annotation a=b=c --annotation d=e --dry-run";
  const found = line(args.split(" "));
  assert.equal(found.command, "backup full");
  if (found.command !== "backup full") return;
  assert.equal(found.label, "primeiro-backup");
  assert.equal(found.method, "physical");
  assert.deepEqual([found.jobs, found.maxRate], [3, 50 * 1024]);
  assert.deepEqual([found.fastCheckpoint, found.dryRun], [true, true]);
  assert.deepEqual(found.annotations, [["a", "b=c"], ["d", "e"]]);
});

Deno.test("readCommandLine() takes global flags in front of the command and behind it", () => {
  for (const args of [["--stanza", "prod", "-q", "status"], ["status", "-q", "--cluster=prod"]]) {
    const found = line(args);
    assert.deepEqual([found.command, found.cluster, found.quiet], ["status", "prod", true]);
  }
});

Deno.test("readCommandLine() ends what it prints with its line", () => {
  for (const args of [["--version"], ["--help"], ["completion", "bash"], ["help", "restore"]]) {
    const reading = read(args);
    assert.ok(reading.type === "text" && /[^\n]\n$/.test(reading.text), args.join(" "));
  }
});

Deno.test("readCommandLine() takes global flags in front of completion and help, too", () => {
  for (const words of [["completion", "bash"], ["help", "restore"], ["help"]]) {
    const plain = read(words);
    for (const flags of ["--config x", "-q", "--cluster=a --no-color", "--timeout 5s -v"]) {
      assert.deepEqual(read([...flags.split(" "), ...words]), plain, `${flags} ${words.join(" ")}`);
    }
  }
});

const aliases = [["info", "status"], ["backup-list", "status"], ["check", "test"]] as const;
for (const [alias, command] of aliases) {
  Deno.test(`readCommandLine() takes ${alias} for ${command}`, () => {
    assert.equal(line([alias]).command, command);
  });
}

const refused: readonly (readonly [args: string, message: RegExp, hint: RegExp])[] = [
  ["", /no command was given/, /--help/],
  ["bakcup full", /command "bakcup" is not known/, /did you mean backup\?/],
  ["backup ful", /argument "ful" is not known/, /did you mean full\?/],
  ["backup", /"backup" needs a word behind it/, /backupctl backup --help/],
  ["delete", /"delete" needs a flag or a word behind it/, /backupctl delete --help/],
  ["annotate", /"annotate" needs a value behind it/, /backupctl annotate --help/],
  ["backup full --lable x", /flag "--lable" is not known/, /did you mean --label\?/],
  ["backup full --clutser=x", /flag "--clutser=x" is not known/, /did you mean --cluster\?/],
  ["backup full extra", /argument "extra" is not known here/, /backupctl backup full --help/],
  ["backup full --jobs 0", /--jobs: expected a value greater than or equal to 1/, /--help/],
  ["backup full --jobs many", /--jobs: expected a valid integer, but got "many"/, /--help/],
  ["backup full --method fast", /--method: expected one of "auto", "logical", and "physical"/, /./],
  ["backup full --label ../x", /--label: the label "..\/x" is not allowed/, /--help/],
  ["backup full --label a --label b", /--label cannot be used multiple times/, /--help/],
  ["backup full --max-rate 1", /--max-rate: "1" is not a rate from 32k to 1024M/, /--help/],
  ["backup full --annotation x", /--annotation: "x" is not KEY=VALUE/, /--help/],
  ["restore --destination", /--destination requires FOLDER/, /restore --help/],
  ["restore --destination=", /--destination: FOLDER is empty/, /restore --help/],
  ["restore --backup-id newest", /"newest" is not a backup's id/, /restore --help/],
  ["restore --tablespace-map a=b", /"a=b" is not OLD=NEW with two absolute paths/, /./],
  ["restore --into db", /--into: this is not an address such as postgres:/, /./],
  ["status --last 0", /--last: expected a value greater than or equal to 1/, /status --help/],
  ["status --timeout 10", /--timeout: "10" is not a time such as 30s/, /status --help/],
  ["status --output xml", /--output: expected one of "text" and "json", but got "xml"/, /./],
  ["repo cat", /KEY is missing/, /repo cat --help/],
  ["completion tcsh", /there is no completion for "tcsh"/, /bash, zsh, fish/],
  ["completion constructor", /there is no completion for "constructor"/, /bash/],
  ["completion", /missing shell name/, /./],
  ["-q completion tcsh", /there is no completion for "tcsh"/, /bash, zsh, fish/],
  ["--confg x completion bash", /flag "--confg" is not known/, /did you mean --config\?/],
  ["--output xml completion bash", /--output: expected one of "text" and "json"/, /--help/],
  ["--config x help restor", /argument "restor" is not known/, /did you mean restore\?/],
];
for (const [args, message, hint] of refused) {
  Deno.test(`readCommandLine() refuses "${args}" with a remedy`, () => {
    const error = refusal(args.split(" ").filter((arg) => arg !== ""));
    assert.match(error.message, message);
    assert.match(error.hint ?? "", hint);
    assert.doesNotMatch(error.message, /\n|`|\.$/);
  });
}

Deno.test("readCommandLine() never repeats a password on the command line", () => {
  for (const url of ["postgres://u:canary@h/", "postgres://h/?password=canary", "canary"]) {
    const error = refusal(["restore", "--into", url]);
    assert.doesNotMatch(error.message + error.hint, /canary/);
  }
});

const missing = ["schema", "--cluster main schema"];
for (const args of missing) {
  Deno.test(`readCommandLine() says that "${args}" is not in this version`, () => {
    const error = refusal(args.split(" "));
    assert.match(error.message, /is not in this version of backupctl$/);
    assert.ok(error.hint);
  });
}

Deno.test("readCommandLine() answers any words with a command, a text or a UsageError", () => {
  const words = fc.oneof(
    fc.constantFrom(
      ..."backup full restore status test config init show check catalog repo ls cat explain"
        .split(" "),
      ..."--label --jobs --output json --cluster -v -q --help -- - --= --label= =".split(" "),
      ..."completion bash help --version --into --no-color --timeout 5s".split(" "),
    ),
    fc.string({ maxLength: 12 }),
    fc.string({ unit: "binary", maxLength: 6 }),
    fc.constantFrom("__proto__", "constructor", "toString", "x".repeat(1000)),
  );
  fc.assert(
    fc.property(fc.array(words, { maxLength: 6 }), (args) => {
      try {
        read(args);
      } catch (error) {
        assert.ok(error instanceof UsageError, String((error as Error).stack));
        assert.ok(error.message.length < 400, `${error.message.length} characters`);
      }
    }),
    { numRuns: 1000 },
  );
});

const pages = [
  "",
  "backup",
  "backup full",
  "backup incremental",
  "restore",
  "status",
  "test",
  "verify",
  "drill",
  "schedule",
  "prune",
  "delete",
  "delete retain",
  "keep",
  "annotate",
  "config",
  "config init",
  "config show",
  "config check",
  "wal",
  "wal status",
  "wal verify",
  "wal-push",
  "wal-fetch",
  "catalog",
  "catalog rebuild",
  "catalog export",
  "alert",
  "alert test",
  "repo",
  "repo ls",
  "repo cat",
  "key",
  "key generate",
  "key check",
  "key rekey",
  "key sign",
  "explain",
  "version",
];
for (const page of pages) {
  Deno.test(`"${`${page} --help`.trim()}" prints the page that is kept`, async () => {
    const args = [...page.split(" ").filter((word) => word !== ""), "--help"];
    const reading = read(args);
    assert.equal(reading.type, "text");
    const file = `${PROJECT_ROOT}tests/golden/help/${page.replace(" ", "-") || "backupctl"}.txt`;
    const text = reading.type === "text" ? reading.text : "";
    if (Deno.env.get("BACKUPCTL_TEST_WRITE_GOLDEN")) await Deno.writeTextFile(file, text);
    assert.equal(text, await Deno.readTextFile(file));
    assert.ok(text.split("\n").every((row) => row.length <= 91), "a line is too wide");
  });
}
