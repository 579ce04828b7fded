/** Each way to call it wrongly, and each thing that is not there: status, hint, no stack. */
import assert from "node:assert/strict";
import { startCluster } from "../support/postgres_cluster.ts";
import { type CliResult, failureOf, runCli } from "../support/run_cli.ts";
import { S3Server } from "../support/s3_server/s3_server.ts";

/** What a person sees of a failure: one error, one remedy, and nothing of the program's inside. */
function assertFailure(
  result: CliResult,
  expected: { readonly status: number; readonly error: RegExp; readonly hint: RegExp },
): void {
  const { error = "", hint = "" } = failureOf(result);
  assert.equal(result.status, expected.status, result.stderr);
  assert.match(error, expected.error);
  assert.match(hint, expected.hint);
  assert.doesNotMatch(result.stderr, /\n\s+at |\.ts:\d+/, "a stack trace");
  assert.equal(result.stdout, "");
}

const folder = await Deno.makeTempDir({ prefix: "backupctl-cli-" });
await Deno.mkdir(`${folder}/repository`);
const folderEnv = { BACKUPCTL_REPOSITORY_PATH: `${folder}/repository`, HOME: folder };
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

const usage: readonly (readonly [args: string, error: RegExp, hint: RegExp])[] = [
  ["", /no command was given/, /--help/],
  ["bakcup full", /"bakcup" is not known/, /did you mean backup\?/],
  ["backup full --lable x", /"--lable" is not known/, /did you mean --label\?/],
  ["backup full --label a/b", /label "a\/b" is not allowed/, /--help/],
  ["backup incremental --database app", /does not go with an increment/, /full backup/],
  ["restore --force --destination /x", /--force goes with --delta/, /--delta/],
  ["prune --policy wekly-retain=3", /"wekly-retain=3" is no rule/, /did you mean weekly-retain\?/],
  ["prune --older-than 3d", /--older-than goes with --orphans/, /policy/],
  ["keep --until 2020-01-01", /is over/, /--release/],
  ["keep --until 90d --release", /do not go together/, /./],
  ["restore --to 2024-01-15T12:30 --destination /x", /has no zone/, /2024-01-15T12:30:00Z/],
  ["restore --latest --to-xid 7 --destination /x", /has one target/, /--to-lsn/],
  ["restore --latest --into postgres://h/", /data directory of its own/, /--destination/],
  ["restore --timeline 2 --destination /x", /--timeline needs a target/, /--latest/],
  ["wal verify --from 7", /"7" is not a segment/, /--help/],
  ["restore", /where to restore to was not given/, /--destination FOLDER/],
  ["restore --destination /x --into postgres://h/", /do not go together/, /./],
  ["restore --into postgres://u:secret@h/", /password on the command line/, /--help/],
  ["backup full --method physical --database app", /does not go with a physical/, /logical/],
  ["backup full --method logical --max-rate 50M", /physical backup only/, /--method physical/],
  ["backup full --database a --fast-checkpoint", /physical backup only/, /--method physical/],
  ["explain NOTHING_MATCH", /neither an error code/, /did you mean NOTHING_MATCHES\?/],
];
for (const [args, error, hint] of usage) {
  Deno.test(`"backupctl ${args}" exits with 2 and says what would be right`, async () => {
    const words = args.split(" ").filter((word) => word !== "");
    assertFailure(await runCli(words, { env: folderEnv }), { status: 2, error, hint });
  });
}

const settings: readonly (readonly [what: string, yaml: string, error: RegExp])[] = [
  ["an unknown key", "postgres: { prot: 1 }\n", /c\.yaml:1:13: postgres\.prot: unknown key/],
  ["a wrong value", "compression: { dumps: lz4 }\n", /c\.yaml:1:16: compression\.dumps: "lz4" is/],
  ["a key given twice", "cluster: a\ncluster: b\n", /c\.yaml:2:1: the key is given twice/],
  [
    "encryption",
    "encryption: { recipients: [age1] }\n",
    /c\.yaml:1:\d+: encryption\.recipients\[0\]: .*is not an age recipient/,
  ],
];
for (const [what, yaml, error] of settings) {
  Deno.test(`a configuration with ${what} exits with 4 and names the place`, async () => {
    const cwd = await Deno.makeTempDir({ dir: folder });
    await Deno.writeTextFile(`${cwd}/c.yaml`, yaml);
    for (const args of [["status"], ["backup", "full"], ["config", "check"], ["config", "show"]]) {
      const result = await runCli([...args, "--config", "c.yaml"], { env: folderEnv, cwd });
      assertFailure(result, { status: 4, error, hint: /./ });
    }
  });
}

Deno.test("without any repository the exit status is 4 and the hint names S3_BUCKET", async () => {
  const result = await runCli(["status"], { env: { HOME: folder } });
  assertFailure(result, { status: 4, error: /no repository is configured/, hint: /S3_BUCKET/ });
});

Deno.test("a repository's folder that is missing exits with 6", async () => {
  const env = { BACKUPCTL_REPOSITORY_PATH: `${folder}/missing`, HOME: folder };
  const result = await runCli(["status"], { env });
  assertFailure(result, { status: 6, error: /missing/, hint: /./ });
});

Deno.test("an empty folder is no repository yet: 10", async () => {
  const result = await runCli(["status"], { env: folderEnv });
  assertFailure(result, { status: 10, error: /no repository/, hint: /first backup creates it/ });
});

Deno.test("a server that nobody runs exits with 5, and with 5 from test", async () => {
  const env = { ...folderEnv, PGHOST: "127.0.0.1", PGPORT: "1", PGUSER: "postgres" };
  const result = await runCli(["backup", "full"], { env });
  assertFailure(result, {
    status: 5,
    error: /cannot reach PostgreSQL at 127\.0\.0\.1:1/,
    hint: /./,
  });
  const checks = await runCli(["test"], { env });
  assert.equal(checks.status, 5);
  assert.match(checks.stdout, /^failed +connection +cannot reach/m);
  assert.match(checks.stdout, /^ok +repository/m);
});

Deno.test("--timeout ends a run that waits for a server that never answers", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = silent.addr as Deno.NetAddr;
  const env = {
    ...folderEnv,
    PGHOST: "127.0.0.1",
    PGPORT: String(port),
    PGUSER: "postgres",
    PGCONNECT_TIMEOUT: "60",
    BACKUPCTL_METADATA_URL: "off",
  };
  const started = performance.now();
  const result = await runCli(["backup", "full", "--timeout", "1s"], { env });
  assertFailure(result, { status: 1, error: /gave up after 1\.0 s/, hint: /more time/ });
  assert.ok(performance.now() - started < 40_000);
});

Deno.test("a host that has no address exits with 5", async () => {
  const env = { ...folderEnv, PGHOST: "no-such-host.invalid", PGUSER: "postgres" };
  const result = await runCli(["backup", "full"], { env });
  assertFailure(result, { status: 5, error: /no-such-host\.invalid/, hint: /./ });
});

Deno.test("a failure is one JSON object with --output json", async () => {
  const result = await runCli(["status", "--output", "json"], { env: { HOME: folder } });
  assert.equal(result.status, 4);
  const document = JSON.parse(result.stderr);
  assert.equal(document.schema, "backupctl.error/1");
  assert.equal(document.error.code, "CONFIG_INVALID");
  assert.equal(document.exit_status, 4);
  const wrong = await runCli(["statsu", "--output=json"]);
  assert.equal(JSON.parse(wrong.stderr).error.code, "USAGE");
});

Deno.test("wrong passwords, unknown names and full folders have their statuses", async (t) => {
  await using cluster = await startCluster({ auth: "scram-sha-256" });
  await using s3 = S3Server.start();
  const server = {
    PGHOST: "127.0.0.1",
    PGPORT: String(cluster.port),
    PGUSER: cluster.user,
    PGPASSWORD: cluster.password ?? "",
    PGSSLMODE: "disable",
  };
  const env = { ...folderEnv, ...server };
  const bucket = {
    ...server,
    HOME: folder,
    S3_BUCKET: "bucket",
    AWS_REGION: "us-east-1",
    AWS_ENDPOINT_URL_S3: s3.endpoint,
    AWS_ACCESS_KEY_ID: s3.options.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.options.credentials.secretAccessKey,
  };
  const steps: readonly (readonly [
    title: string,
    args: string,
    env: Readonly<Record<string, string>>,
    expected: { readonly status: number; readonly error: RegExp; readonly hint: RegExp },
  ])[] = [
    ["a wrong password", "backup full", { ...env, PGPASSWORD: "canary-password" }, {
      status: 5,
      error: /password/,
      hint: /./,
    }],
    ["no password", "backup full", { ...env, PGPASSWORD: "" }, {
      status: 5,
      error: /password/,
      hint: /./,
    }],
    ["an unknown database", "backup full --database nope", env, {
      status: 7,
      error: /nope/,
      hint: /./,
    }],
    ["a missing bucket", "backup full", { ...bucket, S3_BUCKET: "other-bucket" }, {
      status: 6,
      error: /NoSuchBucket/,
      hint: /create the bucket other-bucket/,
    }],
    ["a wrong secret key", "status", { ...bucket, AWS_SECRET_ACCESS_KEY: "canary-secret" }, {
      status: 6,
      error: /SignatureDoesNotMatch/,
      hint: /secret key/,
    }],
  ];
  for (const [title, args, environment, expected] of steps) {
    await t.step(title, async () => {
      const result = await runCli(args.split(" "), { env: environment });
      assertFailure(result, expected);
      assert.doesNotMatch(result.stderr, /canary/, "a secret");
    });
  }
  await t.step(
    "a bucket takes a backup below the default prefix, and no secret shows",
    async () => {
      const log = `${folder}/run.log`;
      const result = await runCli(["backup", "full", "-v", "--output", "json"], {
        env: { ...bucket, BACKUPCTL_LOG_FILE: log },
      });
      assert.equal(result.status, 0, result.stderr);
      const keys = [...s3.bucket().objects.keys()];
      assert.ok(keys.length >= 4 && keys.every((key) => key.startsWith("backupctl/main/")));
      const status = await runCli(["status", "--output", "json"], { env: bucket });
      const { id } = JSON.parse(result.stdout).backup;
      assert.equal(JSON.parse(status.stdout).backups[0].id, id);
      assert.match(await Deno.readTextFile(log), /"event":"backup\.finished"/);
      const written = result.stdout + result.stderr + await Deno.readTextFile(log);
      for (const secret of [cluster.password!, s3.options.credentials.secretAccessKey]) {
        assert.ok(!written.includes(secret) && !written.includes(JSON.stringify(secret)));
      }
    },
  );
  await t.step("what there is no backup of, or no room for", async () => {
    assert.equal((await runCli(["backup", "full", "--quiet"], { env })).status, 0);
    const unknown = ["restore", "--destination", "/x", "--backup-id", "20200101T000000Z-L"];
    assertFailure(await runCli(unknown, { env }), {
      status: 7,
      error: /20200101T000000Z-L/,
      hint: /backupctl status/,
    });
    const full = await Deno.makeTempDir({ dir: folder });
    await Deno.writeTextFile(`${full}/precious`, "keep me");
    const result = await runCli(["restore", "--destination", full], { env });
    assertFailure(result, { status: 9, error: /is not empty/, hint: /absent or empty/ });
    assert.equal(await Deno.readTextFile(`${full}/precious`), "keep me");
    const plan = await runCli(["restore", "--destination", full, "--plan"], { env });
    assert.equal(plan.status, 9);
    assert.match(plan.stdout, /in the way\n {2}- .*not empty/);
  });
});
