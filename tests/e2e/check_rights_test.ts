/** What `test` says of the rights of real roles. */
import assert from "node:assert/strict";
import { startCluster } from "../support/postgres_cluster.ts";
import { runCli } from "../support/run_cli.ts";

Deno.test("test fails for a role that can take neither kind of backup", async (t) => {
  await using cluster = await startCluster({ settings: { wal_level: "replica" } });
  const folder = await Deno.makeTempDir({ prefix: "backupctl-rights-" });
  await Deno.mkdir(`${folder}/repository`);
  await cluster.query("create table orders as select 1 as id");
  await cluster.query("create role clerk login");
  const check = async (more: Record<string, string> = {}) => {
    const env = {
      ...{ PG_HOST: "127.0.0.1", PG_PORT: String(cluster.port), PG_USER: "clerk" },
      ...{ PGSSLMODE: "disable", HOME: folder, PG_DATABASE: "postgres" },
      BACKUPCTL_REPOSITORY_PATH: `${folder}/repository`,
    };
    const result = await runCli(["test", "--output", "json"], { env: { ...env, ...more } });
    const { checks } = JSON.parse(result.stdout);
    const [dump] = checks.filter(({ name }: { name: string }) => name === "dump rights");
    return { status: result.status, dump };
  };
  try {
    await t.step("with what it may not read, and both remedies", async () => {
      const { status, dump } = await check();
      assert.deepEqual([status, dump.state], [5, "failed"]);
      assert.equal(
        dump.message,
        "clerk may not read public.orders in database postgres, " +
          "so a logical backup of the whole server fails",
      );
      assert.match(dump.hint, /^GRANT pg_read_all_data TO clerk, or .*ALTER ROLE … REPLICATION/);
    });

    await t.step("physical backups are enough, unless the configuration wants dumps", async () => {
      await cluster.query("alter role clerk replication");
      const { status, dump } = await check();
      assert.deepEqual([status, dump.state], [0, "warning"]);
      assert.equal((await check({ BACKUPCTL_BACKUP_METHOD: "logical" })).status, 5);
      assert.equal((await check({ BACKUPCTL_BACKUP_METHOD: "physical" })).status, 0);
      await cluster.query("alter role clerk noreplication");
    });

    await t.step(
      "tables, sequences, schemas and databases that it may not read count",
      async () => {
        await cluster.query("grant select on orders to clerk");
        assert.deepEqual((await check()).dump.state, "warning");
        await cluster.query("create sequence numbers");
        assert.match((await check()).dump.message, /may not read public\.numbers in/);
        await cluster.query("grant select on numbers to clerk");
        await cluster.query(
          'create schema "Odd"; create table "Odd".t (); grant select on "Odd".t to public',
        );
        assert.match((await check()).dump.message, /may not read "Odd"\.t in database postgres/);
        await cluster.query('grant usage on schema "Odd" to clerk');
        await cluster.query("create database other");
        await cluster.query("create table secret ()", { database: "other" });
        assert.match((await check()).dump.message, /may not read public\.secret in database other/);
        await cluster.query("revoke connect on database other from public");
        assert.match((await check()).dump.message, /may not connect to database other/);
        await cluster.query("drop database other");
        assert.equal((await check()).status, 0);
      },
    );

    await t.step("what it says can be dumped is what a backup can dump", async () => {
      const env = {
        ...{ PG_HOST: "127.0.0.1", PG_PORT: String(cluster.port), PG_USER: "clerk" },
        ...{ PGSSLMODE: "disable", HOME: folder, PG_DATABASE: "postgres" },
        BACKUPCTL_REPOSITORY_PATH: `${folder}/repository`,
      };
      const args = ["backup", "full", "--method", "logical"];
      assert.equal((await runCli(args, { env })).status, 0);
      await cluster.query("revoke select on numbers from clerk");
      const refused = await runCli(args, { env });
      assert.notEqual(refused.status, 0, refused.stdout);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
