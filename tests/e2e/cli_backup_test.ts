/** The commands as people type them, from the first check to a restore. */
import assert from "node:assert/strict";
import { startCluster } from "../support/postgres_cluster.ts";
import { runCli, spawnCli } from "../support/run_cli.ts";
import { S3Server } from "../support/s3_server/s3_server.ts";

/** A cluster with a table, an empty repository's folder, and the environment that names both. */
async function startRig() {
  const cluster = await startCluster({ settings: { wal_level: "replica" } });
  await cluster.query("create table t as select g from generate_series(1, 20000) g");
  const folder = await Deno.makeTempDir({ prefix: "backupctl-cli-" });
  await Deno.mkdir(`${folder}/repository`);
  const env: Readonly<Record<string, string>> = {
    PG_HOST: "127.0.0.1",
    PG_PORT: String(cluster.port),
    PG_USER: cluster.user,
    PGSSLMODE: "disable",
    BACKUPCTL_REPOSITORY_PATH: `${folder}/repository`,
    HOME: folder,
  };
  return {
    cluster,
    folder,
    env,
    async [Symbol.asyncDispose]() {
      await cluster[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test("backup, status, restore and the rest work as typed", async (t) => {
  await using rig = await startRig();
  const { env, folder, cluster } = rig;
  const run = async (line: string, more: Readonly<Record<string, string>> = {}) => {
    const result = await runCli(line.split(" "), { env: { ...env, ...more } });
    assert.equal(result.status, 0, `${line}: ${result.stderr}${result.stdout}`);
    return result;
  };
  let id = "";

  await t.step("test is green before the first backup", async () => {
    const { stdout } = await run("test");
    const states = stdout.split("\n").map((line) => line.split(" ")[0]).filter((word) => word);
    assert.ok(states.every((state) => state === "ok" || state === "warning"), stdout);
    assert.match(stdout, /^warning +archiving +archive_mode is off/m);
    assert.match(stdout, /^warning +newest full +there is none yet$/m);
    const checks = JSON.parse((await run("test --output json")).stdout);
    assert.deepEqual([checks.schema, checks.ok], ["backupctl.test/1", true]);
  });

  await t.step("backup full prints one result and tells its story in JSON lines", async () => {
    const { stdout, stderr } = await run("backup full --label primeiro-backup --annotation a=b");
    id = /^backup (\S+) is complete \(logical full, label primeiro-backup\)$/m.exec(stdout)![1]!;
    const events = stderr.trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(events.map(({ event }) => event).filter((event) => !/progress/.test(event)), [
      "backup.started",
      "backup.note",
      "backup.finished",
    ]);
    const finished = events.at(-1);
    assert.equal(finished.backup_id, id);
    assert.equal(finished.cluster, "main");
    assert.ok(finished.size_bytes > 0 && finished.duration_seconds > 0);
    assert.match(finished.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  await t.step("the run and the backup are in the index", async () => {
    const runs = await cluster.query("select operation, outcome, backup_id from backupctl.runs");
    assert.deepEqual(runs.map((row) => ({ ...row })), [
      { operation: "backup full", outcome: "succeeded", backup_id: id },
    ]);
    const { stdout } = await run("catalog export");
    assert.equal(JSON.parse(stdout).backups.length, 1);
  });

  await t.step("status lists it as a table and as JSON", async () => {
    const { stdout } = await run("status");
    assert.match(stdout, new RegExp(`^${id} +logical +full +primeiro-backup +.* ok$`, "m"));
    const document = JSON.parse((await run("status --last 1 --output json")).stdout);
    assert.equal(document.schema, "backupctl.status/1");
    assert.deepEqual(document.backups.map((one: { id: string }) => one.id), [id]);
    assert.deepEqual([document.windows, document.gaps, document.wal], [[], [], null]);
    assert.match((await run(`status --backup-id ${id}`)).stdout, /^annotation +a=b$/m);
    assert.equal((await run("info")).stdout, stdout);
  });

  await t.step("restore writes the dump files; --plan writes nothing", async () => {
    const plan = await run(`restore --destination ${folder}/plan --plan`);
    assert.match(plan.stdout, /nothing stands in the way/);
    await assert.rejects(Deno.stat(`${folder}/plan`));
    const { stdout } = await run(`restore --backup-id ${id} --destination ${folder}/dumps`);
    assert.match(stdout, new RegExp(`^backup ${id} is restored to ${folder}/dumps$`, "m"));
    const names = [...Deno.readDirSync(`${folder}/dumps`)].map(({ name }) => name).toSorted();
    assert.deepEqual(names, ["globals.sql", "postgres.dump"]);
    assert.equal((await Deno.stat(`${folder}/dumps/globals.sql`)).mode! & 0o077, 0);
  });

  await t.step("a physical backup restores to a cluster that starts", async () => {
    await run("backup full --method physical --fast-checkpoint --quiet");
    const document = JSON.parse((await run("status --output json")).stdout);
    assert.equal(document.backups.at(-1).method, "physical");
    const destination = `${cluster.folder}/restored`;
    await run(`restore --destination ${destination}`);
    await using restored = await cluster.startFrom(destination);
    const [row] = await restored.query("select count(*)::int as count from t");
    assert.equal(row?.["count"], 20000);
  });

  await t.step("repo and catalog show what is stored", async () => {
    const { stdout } = await run("repo ls main/ --output json");
    const keys: string[] = JSON.parse(stdout).objects.map((one: { key: string }) => one.key);
    assert.ok(keys.includes("main/repository.json"));
    assert.equal(JSON.parse((await run("repo cat main/repository.json")).stdout).cluster, "main");
    await cluster.query("drop schema backupctl cascade");
    assert.match((await run("catalog rebuild")).stdout, /holds 2 backups/);
  });

  await t.step("--quiet prints nothing when all is well", async () => {
    const { stdout, stderr } = await run("backup full --quiet");
    assert.deepEqual([stdout, stderr], ["", ""]);
  });

  await t.step("--dry-run stores nothing", async () => {
    const count = [...(await run("repo ls")).stdout].length;
    assert.match((await run("backup full --dry-run")).stdout, /^dry run: nothing was stored$/m);
    assert.match((await run("backup full --dry-run --method physical")).stdout, /physical/);
    assert.equal([...(await run("repo ls")).stdout].length, count);
  });

  await t.step(
    "a manifest that cannot be read is a warning, and hides no other backup",
    async () => {
      const [system] = [...Deno.readDirSync(`${env["BACKUPCTL_REPOSITORY_PATH"]}/main`)]
        .filter(({ isDirectory }) => isDirectory);
      const broken = `${env["BACKUPCTL_REPOSITORY_PATH"]}/main/${system!.name}/backups/` +
        "20200101T000000Z-F";
      await Deno.mkdir(broken);
      await Deno.writeTextFile(`${broken}/backup.json`, "{ this is no JSON \u001b[2J");
      const { stdout, stderr } = await run("status");
      assert.match(stdout, new RegExp(`^${id} `, "m"));
      assert.match(stderr, /^warning: .*20200101T000000Z-F\/backup\.json cannot be read: /m);
      assert.ok(!stderr.includes("\u001b"));
      assert.match(
        (await run("test")).stdout,
        /^warning +backups +1 of \d+ backups cannot be/m,
      );
      await Deno.remove(broken, { recursive: true });
    },
  );

  await t.step("an index that cannot be reached is a warning that says what waits", async () => {
    const broken = { BACKUPCTL_METADATA_URL: "postgres://x@127.0.0.1:1/x" };
    const { stderr } = await run("backup full --quiet", broken);
    const warning = JSON.parse(stderr);
    assert.deepEqual([warning.level, warning.event], ["WARNING", "catalog.not_recorded"]);
    assert.match(warning.message, /refused \(is PostgreSQL running there.*\?\); the run waits/);
    assert.match(warning.message, new RegExp(`the run waits in ${folder}/.local/state/backupctl`));
    await run("backup full --quiet");
    const [row] = await cluster.query(
      "select count(*)::int as count from backupctl.runs where operation = 'backup full'",
    );
    assert.equal(row?.["count"], 3, "the one before, the one that waited, and this one");
  });
});

Deno.test("SIGINT ends a backup with 130 and leaves nothing behind", async () => {
  await using rig = await startRig();
  const args = ["backup", "full", "--method", "physical", "--max-rate", "32k", "--fast-checkpoint"];
  const child = spawnCli(args, { env: rig.env });
  const lines = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let stderr = "";
  while (!stderr.includes("copying the cluster")) {
    const { value, done } = await lines.read();
    assert.ok(!done, stderr);
    stderr += value;
  }
  child.kill("SIGINT");
  for (let next = await lines.read(); !next.done; next = await lines.read()) stderr += next.value;
  const { code } = await child.status;
  await child.stdout.cancel();
  assert.equal(code, 130, stderr);
  assert.match(stderr, /^error: interrupted by SIGINT$/m);
  assert.match(stderr, /"event":"process.interrupted"/);
  const left = await runCli(["repo", "ls", "--output", "json"], { env: rig.env });
  const keys = JSON.parse(left.stdout).objects.map((one: { key: string }) => one.key);
  assert.deepEqual(keys, ["main/repository.json"]);
  const [row] = await rig.cluster.query("select outcome from backupctl.runs");
  assert.equal(row?.["outcome"], "interrupted");
  // The server notices with its next message that nobody listens any more.
  const gone = "select 1 from pg_replication_slots";
  for (const end = Date.now() + 60_000; (await rig.cluster.query(gone)).length > 0;) {
    assert.ok(Date.now() < end, "the replication slot stays");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
});

Deno.test("SIGINT ends a restore with 130 and says what it left behind", async () => {
  await using rig = await startRig();
  await using server = S3Server.start();
  const env = {
    ...rig.env,
    ...{ BACKUPCTL_REPOSITORY_PATH: "", S3_BUCKET: "bucket", AWS_REGION: "us-east-1" },
    ...{ AWS_ENDPOINT_URL_S3: server.endpoint, AWS_ACCESS_KEY_ID: "testkey" },
    AWS_SECRET_ACCESS_KEY: "testsecretkey123",
  };
  const args = ["backup", "full", "--method", "physical", "--fast-checkpoint"];
  const made = await runCli(args, { env });
  assert.equal(made.status, 0, made.stderr);
  // So slow that it cannot come to its end before the signal.
  server.fail({ method: "GET", key: /\.tar\.zst$/ }, { kind: "drip", bytesPerSecond: 50_000 });
  const destination = `${await Deno.makeTempDir({ prefix: "backupctl-cut-" })}/new`;
  const child = spawnCli(["restore", "--destination", destination], { env });
  const lines = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let stderr = "";
  while (!stderr.includes('"restoring"')) {
    const { value, done } = await lines.read();
    assert.ok(!done, stderr);
    stderr += value;
  }
  child.kill("SIGINT");
  for (let next = await lines.read(); !next.done; next = await lines.read()) stderr += next.value;
  const { code } = await child.status;
  await child.stdout.cancel();
  assert.equal(code, 130, stderr);
  assert.match(stderr, /^hint: \S+\/new holds an unfinished restore: remove it/m);
  await Deno.remove(destination, { recursive: true });
});

Deno.test("--timeout ends a backup with 1 and says so", async () => {
  await using rig = await startRig();
  const args = ["backup", "full", "--method", "physical", "--max-rate", "32k", "--fast-checkpoint"];
  const result = await runCli([...args, "--timeout", "2s"], { env: rig.env });
  assert.equal(result.status, 1, result.stderr);
  assert.match(result.stderr, /^error: gave up after 2\.0 s, the time that --timeout allows$/m);
});
