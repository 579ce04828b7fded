/** Verification as typed, on a real repository that is damaged by hand. */
import assert from "node:assert/strict";
import { startCluster } from "../support/postgres_cluster.ts";
import { runCli, spawnCli } from "../support/run_cli.ts";
import { sendSignal } from "../support/send_signal.ts";

async function startRig() {
  const cluster = await startCluster({ settings: { wal_level: "replica" } });
  const folder = await Deno.makeTempDir({ prefix: "backupctl-verify-" });
  await Deno.mkdir(`${folder}/repository`);
  const env = {
    ...{ PG_HOST: "127.0.0.1", PG_PORT: String(cluster.port), PG_USER: cluster.user },
    ...{ PGSSLMODE: "disable", BACKUPCTL_REPOSITORY_PATH: `${folder}/repository`, HOME: folder },
  };
  return {
    ...{ cluster, env, repository: `${folder}/repository` },
    run: (line: string) => runCli(line.split(" "), { env }),
    async [Symbol.asyncDispose]() {
      await cluster[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

async function files(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) found.push(...await files(`${folder}/${name}`));
    else found.push(`${folder}/${name}`);
  }
  return found.sort();
}

Deno.test("verify reads a repository back, keeps what it found, and names damage", async (t) => {
  await using rig = await startRig();
  const { run, repository } = rig;
  const ids: string[] = [];

  await t.step("without a backup there is nothing to verify", async () => {
    const { status, stderr } = await run("verify");
    assert.equal(status, 10, stderr);
  });

  await t.step("what is right is kept as verified", async () => {
    for (const method of ["physical", "logical"]) {
      const line = `backup full --method ${method} --output json`;
      const { status, stdout, stderr } = await run(line);
      assert.equal(status, 0, stderr);
      ids.push(JSON.parse(stdout).backup.id);
    }
    const before = await files(repository);
    const { status, stdout, stderr } = await run("verify");
    assert.equal(status, 0, stderr);
    assert.match(stdout, /objects of 2 backups and their WAL read, .*: nothing is damaged/);
    const events = stderr.trim().split("\n").map((line) => JSON.parse(line).event);
    assert.deepEqual([events[0], events.at(-1)], ["verify.started", "verify.finished"]);
    const after = await files(repository);
    const added = after.filter((name) => !before.includes(name));
    assert.equal(added.length, 3, added.join());
    assert.ok(added.every((name) => /\/verified\/.*-ok\.json$/.test(name)), added.join());
    const [row] = await rig.cluster.query(
      "select outcome from backupctl.runs where operation = 'verify' " +
        "order by started_at desc limit 1",
    );
    assert.equal(row?.outcome, "succeeded");
  });

  await t.step("--since-last reads nothing again, --sample a part", async () => {
    const again = JSON.parse((await run("verify --since-last --output json")).stdout);
    assert.deepEqual([again.schema, again.ok, again.skipped], ["backupctl.verify/1", true, 2]);
    assert.deepEqual(again.backups, []);
    const sampled = JSON.parse((await run("verify --sample 10% --output json")).stdout);
    assert.deepEqual(sampled.backups.map(({ objects }: { objects: number }) => objects), [1, 1]);
  });

  await t.step("damage ends with status 8 and names the object and its backup", async () => {
    const [chunk] = (await files(repository)).filter((name) => /chunks\/0001/.test(name));
    const bytes = await Deno.readFile(chunk!);
    bytes[bytes.length >> 1]! ^= 1;
    await Deno.writeFile(chunk!, bytes);
    const key = chunk!.slice(repository.length + 1);
    const { status, stdout, stderr } = await run("verify");
    assert.equal(status, 8, stderr);
    assert.match(
      stdout,
      new RegExp(`^damaged: ${key} has SHA-256 .*; lost with it: ${ids[0]}$`, "m"),
    );
    assert.match(stderr, /^error: 1 object is damaged or missing$/m);
    assert.match(stderr, new RegExp(`^hint: lost: ${ids[0]}; take a new full backup now$`, "m"));
    const json = await run(`verify --backup-id ${ids[0]} --output json`);
    assert.equal(json.status, 8);
    const { faults, lost } = JSON.parse(json.stdout);
    assert.deepEqual([faults.length, faults[0].key, lost], [1, key, [ids[0]]]);
    assert.equal((await run(`verify --backup-id ${ids[1]}`)).status, 0);
    const since = JSON.parse((await run("verify --since-last --output json")).stdout);
    assert.deepEqual(since.backups.map(({ id }: { id: string }) => id), [ids[0]]);
  });

  await t.step("a manifest that cannot be read is damage, too", async () => {
    await Deno.writeTextFile(
      (await files(repository)).find((name) => name.endsWith(`${ids[1]}/backup.json`))!,
      "{}",
    );
    const { status, stdout } = await run("verify --output json");
    assert.equal(status, 8);
    assert.deepEqual(JSON.parse(stdout).lost.sort(), [...ids].sort());
  });

  await t.step("Ctrl-C leaves nothing behind", async () => {
    const before = await files(repository);
    const child = spawnCli(["verify", "--jobs", "1"], { env: rig.env });
    const stderr = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; !text.includes("verify.started");) text += (await stderr.read()).value;
    sendSignal(child, "SIGINT");
    const drained = (async () => {
      while (!(await stderr.read()).done);
    })();
    await child.stdout.cancel();
    const { code } = await child.status;
    await drained;
    const after = await files(repository);
    // It may have ended a moment before the signal came.
    if (code === 130) assert.deepEqual(after, before);
    else assert.equal(code, 8);
  });
});
