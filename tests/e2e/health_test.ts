/** `test` on a server that archives: settings, the archiver, what waits, a segment's whole way. */
import assert from "node:assert/strict";
import { startCluster } from "../support/postgres_cluster.ts";
import { InstalledProgram } from "../support/installed_program.ts";
import { giveToServer, makeServerFolder } from "../support/server_user.ts";

Deno.test("test tells how a server archives, and how old everything is", async (t) => {
  await using program = await InstalledProgram.install();
  const folder = await makeServerFolder("backupctl-health-");
  await Deno.mkdir(`${folder}/repository`);
  await giveToServer(folder);
  const env = { BACKUPCTL_REPOSITORY_PATH: `${folder}/repository`, HOME: folder };
  const command = `${program.path} wal-push %p`;
  await using cluster = await startCluster({ archive: command, env: { ...env, ...program.env } });
  const settings = {
    ...{ PG_HOST: "127.0.0.1", PG_PORT: String(cluster.port), PG_USER: cluster.user },
    BACKUPCTL_POSTGRES_BIN: cluster.binDir,
  };
  const test = async (flags: string, more: Record<string, string> = {}) => {
    const args = ["test", ...flags.split(" ").filter((flag) => flag !== "")];
    return await program.run(args, { env: { ...env, ...settings, ...more } });
  };

  await t.step("--deep sends a segment the whole way", async () => {
    const { status, stdout, stderr } = await test("--deep");
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /^ok +archiving +archive_mode is on, by backupctl$/m);
    assert.match(stdout, /^ok +archiving probe +[0-9A-F]{24} arrived after /m);
    const again = await test("--deep");
    assert.match(again.stdout, /^ok +archiving probe +[0-9A-F]{24} arrived/m, "no new WAL");
    assert.match(again.stdout, /^ok +archiver +last archived [0-9A-F]{24} at /m);
  });

  await t.step(
    "WAL that goes to another cluster's name is told, and not that all is well",
    async () => {
      const { status, stdout } = await test("", { BACKUPCTL_CLUSTER: "other" });
      assert.equal(status, 0, stdout);
      const what = "the server archived [0-9A-F]{24}, which is not in this repository";
      assert.match(stdout, new RegExp(`^warning +archiver +${what}$`, "m"));
      assert.match(stdout, /is archive_command for another --config, --cluster or repository\?/);
    },
  );

  await t.step("without a full backup it is stale for those who ask", async () => {
    assert.equal((await test("--quiet")).status, 0);
    const { status, stderr } = await test("--quiet --exit-on-stale");
    assert.equal(status, 14);
    assert.match(stderr, /^error: stale: newest full: there is none yet$/m);
    const nagios = await test("--nagios");
    assert.equal(nagios.status, 2);
    assert.match(nagios.stdout, /^BACKUPCTL CRITICAL - newest full: .* \| .*wal_lag=0s;600/);
  });

  await t.step("with one it is fresh, until the rule says otherwise", async () => {
    const backup = await program.run(["backup", "full", "--fast-checkpoint"], {
      env: { ...env, ...settings },
    });
    assert.equal(backup.status, 0, backup.stderr);
    const nagios = await test("--nagios");
    assert.match(nagios.stdout, /^BACKUPCTL OK - \d+ checks passed \| .*full_age=\d+s;691200/);
    assert.equal(nagios.status, 0);
    assert.equal(nagios.stdout.trimEnd().split("\n").length, 1);
    assert.equal((await test("--quiet --exit-on-stale")).status, 0);
    const strict = { BACKUPCTL_ALERTS_RULES_FULL_MAX_AGE: "1ms" };
    assert.equal((await test("--exit-on-stale", strict)).status, 14);
    const json = JSON.parse((await test("--output json", strict)).stdout);
    assert.deepEqual([json.ok, json.stale], [true, true]);
    assert.ok(
      json.checks.some(({ figures }: { figures?: { full_age: number } }) =>
        figures && figures.full_age >= 0
      ),
    );
  });

  await t.step("an archiver that fails is a failure, with what waits", async () => {
    await cluster.query("alter system set archive_command = 'false'");
    await cluster.query("select pg_reload_conf()");
    await cluster.query("select pg_switch_wal(); select txid_current(); select pg_switch_wal()");
    const failing = "select 1 from pg_stat_archiver where last_failed_time > last_archived_time";
    while ((await cluster.query(failing)).length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const { status, stdout } = await test("", { BACKUPCTL_ALERTS_RULES_WAL_LAG: "1ms" });
    assert.equal(status, 1);
    assert.match(stdout, /^warning +archiving +archive_mode is on, by another command/m);
    assert.match(stdout, /^failed +archiver +[0-9A-F]{24} cannot be archived since /m);
    assert.match(stdout, /^warning +WAL backlog +(1 file waits,|\d+ files wait, the oldest) for /m);
    const nagios = await test("--nagios");
    assert.equal(nagios.status, 2);
    assert.match(nagios.stdout, /^BACKUPCTL CRITICAL - archiver: /);
  });

  await t.step("--nagios is unknown when the configuration is wrong", async () => {
    const { status, stdout } = await test("--nagios", { BACKUPCTL_WAL_TIMEOUT: "soon" });
    assert.equal(status, 3);
    assert.match(stdout, /^BACKUPCTL UNKNOWN - configuration: /);
  });

  await t.step("a role without rights is told what it needs", async () => {
    await cluster.query("create role watcher login");
    const { stdout } = await test("--deep", { PG_USER: "watcher" });
    assert.match(stdout, /^warning +WAL backlog +this role may not see/m);
    assert.match(stdout, /GRANT EXECUTE ON FUNCTION pg_catalog\.pg_switch_wal\(\)/);
  });

  await Deno.remove(folder, { recursive: true });
});

Deno.test("config/healthcheck.sh ends as test --exit-on-stale does", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/backupctl`, '#!/bin/sh\necho "$@"\nexit 14\n', {
    mode: 0o755,
  });
  const { code, stdout } = await new Deno.Command("config/healthcheck.sh", {
    args: ["--config", "/x"],
    env: { PATH: `${folder}:${Deno.env.get("PATH")}` },
  }).output();
  assert.equal(code, 14);
  assert.equal(
    new TextDecoder().decode(stdout),
    "test --quiet --exit-on-stale --timeout 50s --config /x\n",
  );
  await Deno.remove(folder, { recursive: true });
});
