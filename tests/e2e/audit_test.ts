/** What commands leave in the index beside backups: the audit trail, and samples of the room taken. */
import assert from "node:assert/strict";
import { startCluster } from "../support/postgres_cluster.ts";
import { runCli, spawnCli } from "../support/run_cli.ts";

Deno.test("commands that change something are audited, with an outage in between", async (t) => {
  await using cluster = await startCluster({ settings: { wal_level: "replica" } });
  await cluster.query("create table t as select 1");
  const folder = await Deno.makeTempDir({ prefix: "backupctl-audit-" });
  await Deno.mkdir(`${folder}/repository`);
  const env: Readonly<Record<string, string>> = {
    PG_HOST: "127.0.0.1",
    PG_PORT: String(cluster.port),
    PG_USER: cluster.user,
    PG_PASSWORD: "canary-of-a-password",
    PGSSLMODE: "disable",
    BACKUPCTL_REPOSITORY_PATH: `${folder}/repository`,
    HOME: folder,
    SUDO_USER: "alice",
  };
  const run = async (args: readonly string[], status = 0) => {
    const result = await runCli(args, { env });
    assert.equal(result.status, status, `${args.join(" ")}: ${result.stderr}`);
  };
  const trail = async () =>
    (await cluster.query(
      "select operation, command, outcome, exit_status, error_code, os_user, pg_role, host from backupctl.audit order by at",
    )).map((row) => ({ ...row }));

  try {
    await t.step("a backup leaves an event without secrets, and a sample", async () => {
      await run(["backup", "full", "--label", "canary-of-a-password"]);
      const [event, ...more] = await trail();
      assert.deepEqual(more, []);
      assert.match(String(event?.["os_user"]), /^\S+ \(sudo by alice\)$/);
      assert.deepEqual({ ...event, os_user: null }, {
        operation: "backup full",
        command: "backupctl backup full --label ********",
        outcome: "succeeded",
        exit_status: 0,
        error_code: null,
        os_user: null,
        pg_role: "postgres",
        host: Deno.hostname(),
      });
      const samples = await cluster.query(
        "select kind, count::int as n, stored_bytes::int as bytes from backupctl.storage_samples",
      );
      assert.deepEqual(samples.map(({ kind, n }) => [kind, n]), [["logical", 1]]);
      assert.ok(Number(samples[0]?.["bytes"]) > 0);
    });

    await t.step("what only looks leaves nothing", async () => {
      for (const command of ["status", "backup full --dry-run", "repo ls"]) {
        await run(command.split(" "));
      }
      assert.equal((await trail()).length, 1);
    });

    await t.step("during an outage it waits, and the next command delivers it", async () => {
      await cluster.stop("fast");
      await run(["backup", "full"], 5);
      await run(["restore", "--destination", "/proc/nowhere"], 9);
      await cluster.start();
      await run(["catalog", "rebuild"]);
      assert.deepEqual(
        (await trail()).map(({ operation, outcome, exit_status, error_code }) =>
          [operation, outcome, exit_status, error_code].join(" ")
        ),
        [
          "backup full succeeded 0 ",
          "backup full failed 5 POSTGRES_REFUSED",
          "restore failed 9 DESTINATION",
          "catalog rebuild succeeded 0 ",
        ],
      );
      const runs = await cluster.query(
        "select operation, outcome from backupctl.runs order by 1, 2",
      );
      assert.equal(runs.length, 3, "the failed runs are delivered, too");
    });

    await t.step("a backup that somebody removed by hand is found to be gone", async () => {
      const systems = await Array.fromAsync(Deno.readDir(`${folder}/repository/main`));
      const system = systems.find(({ isDirectory }) => isDirectory)!.name;
      await Deno.remove(`${folder}/repository/main/${system}/backups`, { recursive: true });
      await run(["backup", "full"]);
      const rows = await cluster.query(
        "select removed_at is null as there from backupctl.backups order by stopped_at",
      );
      assert.deepEqual(rows.map(({ there }) => there), [false, true]);
    });

    await t.step(
      "an interrupted run waits in the journal, and the server is not asked",
      async () => {
        // Without a fast checkpoint the base backup waits for a spread one.
        const child = spawnCli(["backup", "full", "--method", "physical"], { env });
        const out = child.stdout.cancel();
        let told = "";
        for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
          if (told === "") child.kill("SIGINT");
          told += text;
        }
        await out;
        assert.equal((await child.status).code, 130, told);
        const before = (await trail()).length;
        await run(["catalog", "rebuild"]);
        assert.equal((await trail()).length, before + 2);
        const interrupted = (await trail()).filter(({ outcome }) => outcome === "interrupted");
        assert.deepEqual(
          interrupted.map(({ operation, exit_status }) => [operation, exit_status]),
          [
            ["backup full", 130],
          ],
        );
      },
    );

    await t.step("a backup that was deleted is marked, by whom stands in the trail", async () => {
      const [row] = await cluster.query(
        "select id from backupctl.backups where removed_at is null",
      );
      const id = String(row?.["id"]);
      await run(["backup", "full"]);
      await run(["delete", "--backup-id", id, "--yes"]);
      const gone = await cluster.query(
        "select id from backupctl.backups where removed_at is not null",
      );
      assert.ok(gone.some((backup) => backup["id"] === id));
      assert.equal((await trail()).at(-1)?.["command"], `backupctl delete --backup-id ${id} --yes`);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
