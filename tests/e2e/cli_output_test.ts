/** Outputs that break, and commands that need neither server nor repository. */
import assert from "node:assert/strict";
import type { BackupManifest } from "../../src/catalog/catalog.ts";
import { manifestKey } from "../../src/catalog/layout.ts";
import { openRepository } from "../../src/catalog/repository.ts";
import { stableJson } from "../../src/catalog/stable_json.ts";
import { DirectoryStore } from "../../src/storage/directory.ts";
import { sampleManifest } from "../support/manifests.ts";
import { PROJECT_ROOT } from "../support/paths.ts";
import { cleanEnvironment, programWords, runCli } from "../support/run_cli.ts";

/** Runs a line of the shell with `$CLI` as the program. */
async function shell(line: string, cwd = "/") {
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", `set -o pipefail; ${line}`],
    cwd,
    env: {
      ...cleanEnvironment(),
      CLI: programWords().join(" "),
    },
    clearEnv: true,
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { status: code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("nothing is left in the temporary folder, nor looked for in it", async () => {
  const folder = await Deno.makeTempDir();
  for (let turn = 0; turn < 2; turn++) {
    assert.equal((await runCli(["version"], { env: { TMPDIR: folder } })).status, 0);
  }
  assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), []);
  await Deno.remove(folder);
});

Deno.test("version answers without reading the configuration", async () => {
  const env = { BACKUPCTL_ENCRYPTION_RECIPIENTS: "age1", BACKUPCTL_CONFIG: "/nonexistent" };
  const { status, stdout, stderr } = await runCli(["version"], { env });
  assert.deepEqual([status, stderr], [0, ""]);
  assert.match(stdout, /^backupctl \d+\.\d+\.\d+\n$/);
  const json = JSON.parse((await runCli(["version", "--output", "json"])).stdout);
  assert.equal(json.schema, "backupctl.version/1");
});

Deno.test("a reader that goes away is no failure", async () => {
  const { status, stderr } = await shell("{ sleep 0.3; $CLI explain; } | true");
  assert.deepEqual([status, stderr], [0, ""]);
});

Deno.test("a result that cannot be written is a failure", async () => {
  const { status, stderr } = await shell("$CLI explain > /dev/full");
  assert.equal(status, 1);
  assert.match(stderr, /^error: standard output cannot be written: No space left on device$/m);
});

Deno.test("standard error that cannot be written changes no exit status", async () => {
  const { status } = await shell("$CLI bakcup 2> /dev/full");
  assert.equal(status, 2);
});

Deno.test("completion prints a script that bash reads", async () => {
  const { status, stderr } = await shell("$CLI completion bash | bash -n");
  assert.deepEqual([status, stderr], [0, ""]);
});

Deno.test("completion knows the words and flags", async () => {
  const words = await shell("source <($CLI completion bash) && complete -p backupctl");
  assert.match(words.stdout, /backupctl/);
});

Deno.test("config init writes the sample once, for its owner only", async () => {
  const cwd = await Deno.makeTempDir();
  const first = await runCli(["config", "init"], { cwd });
  assert.deepEqual([first.status, first.stdout], [0, "wrote config/config.yaml\n"]);
  const file = `${cwd}/config/config.yaml`;
  assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
  assert.equal((await Deno.stat(`${cwd}/config`)).mode! & 0o777, 0o700);
  const sample = await Deno.readTextFile(`${PROJECT_ROOT}config/config.yaml`);
  assert.equal(await Deno.readTextFile(file), sample);
  const second = await runCli(["config", "init"], { cwd });
  assert.equal(second.status, 9);
  assert.match(second.stderr, /already there and was left as it is/);
  const check = await runCli(["config", "check"], { cwd });
  assert.equal(check.status, 0, check.stderr);
  assert.match(check.stdout, /^the configuration is in order/);
  await Deno.remove(cwd, { recursive: true });
});

Deno.test("config show tells where each value comes from, and no secret", async () => {
  const env = { PG_HOST: "db", PG_PASSWORD: "canary", S3_BUCKET: "my-bucket" };
  const { status, stdout } = await runCli(["config", "show"], { env });
  assert.equal(status, 0);
  assert.match(stdout, /^ {2}host: db # environment variable PG_HOST$/m);
  assert.match(stdout, /^cluster: main # default$/m);
  assert.match(stdout, /^ {2}type: s3 # default$/m);
  assert.doesNotMatch(stdout, /canary/);
  const json = await runCli(["config", "show", "--output", "json"], { env });
  assert.doesNotMatch(json.stdout, /canary/);
});

Deno.test("a bug prints its stack and exits with 70", async () => {
  const { reportFailure } = await import("../../src/cli/report_failure.ts");
  let text = "";
  const output = {
    isTerminal: false,
    color: false,
    columns: () => undefined,
    closed: false,
    write: (data: string | Uint8Array) => void (text += String(data)),
  };
  const terminal = { stdout: output, stderr: output, unicode: false };
  const status = reportFailure(new TypeError("x is undefined"), { terminal, json: false });
  assert.equal(status, 70);
  assert.match(text, /^error: this is a bug in backupctl: TypeError: x is undefined\n {4}at /);
});

Deno.test("status shows whose backups they are when two systems share a cluster's name", async () => {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-systems-" });
  try {
    const store = new DirectoryStore(folder);
    const own = sampleManifest();
    await openRepository(store, { cluster: "main" }).prepare();
    const write = (manifest: BackupManifest) =>
      store.put(manifestKey("main", manifest), new TextEncoder().encode(stableJson(manifest)));
    await write(own);
    const env = { BACKUPCTL_REPOSITORY_PATH: folder, HOME: folder };
    assert.doesNotMatch((await runCli(["status"], { env })).stdout, /SYSTEM/);
    await write({ ...own, systemIdentifier: "42" });
    const { stdout } = await runCli(["status"], { env });
    assert.match(stdout, / SYSTEM /);
    assert.match(stdout, new RegExp(` ${own.systemIdentifier} `));
    assert.match(stdout, / 42 /);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
