/** A folder that lost its mount looks like one where nothing was ever stored. */
import assert from "node:assert/strict";
import { startCluster } from "../support/postgres_cluster.ts";
import { runCli } from "../support/run_cli.ts";

/** What nobody may take for a beginning: everything that writes, and what tells of it. */
const REFUSED = [
  "backup full",
  "backup full --method physical",
  "backup full --dry-run",
  "backup incremental",
  "backup incremental --dry-run",
  "prune --policy weekly-retain=1 --yes",
  "catalog rebuild",
  "status",
];

Deno.test("no command begins a repository in the folder where another one was mounted", async (t) => {
  await using cluster = await startCluster({ settings: { wal_level: "replica" } });
  const folder = await Deno.makeTempDir({ prefix: "backupctl-mount-" });
  const repository = `${folder}/repository`;
  const env: Record<string, string> = {
    PG_HOST: "127.0.0.1",
    PG_PORT: String(cluster.port),
    PG_USER: cluster.user,
    PGSSLMODE: "disable",
    BACKUPCTL_REPOSITORY_PATH: repository,
    HOME: folder,
  };
  const run = (line: string, more = {}) => runCli(line.split(" "), { env: { ...env, ...more } });
  const succeed = async (line: string, more = {}) => {
    const result = await run(line, more);
    assert.equal(result.status, 0, `${line}: ${result.stderr}${result.stdout}`);
    return result;
  };
  const entries = () => Array.from(Deno.readDirSync(repository), ({ name }) => name);
  try {
    await Deno.mkdir(repository);

    await t.step("a dry run of an increment begins none, and a first backup does", async () => {
      await succeed("backup full --dry-run");
      await succeed("backup incremental --dry-run");
      assert.deepEqual(entries(), []);
      await succeed("backup full");
    });
    await Deno.rename(repository, `${repository}.elsewhere`);
    await Deno.mkdir(repository);

    for (const line of REFUSED) {
      await t.step(`"${line}" is refused in the empty folder`, async () => {
        const { status, stderr, stdout } = await run(line);
        assert.equal(status, 10, `${stderr}${stdout}`);
        assert.match(stderr, /there is no repository at .* any more/);
        assert.match(stderr, /is what belongs there mounted\?/);
        assert.deepEqual(entries(), []);
      });
    }

    await t.step("test says so, too", async () => {
      const { status, stdout } = await run("test");
      assert.notEqual(status, 0);
      assert.match(stdout, /there is no repository at .* any more/);
      await Deno.remove(repository, { recursive: true });
    });

    await t.step("once it is mounted again, backups go on", async () => {
      await Deno.rename(`${repository}.elsewhere`, repository);
      await succeed("backup full");
    });

    await t.step("another folder is another repository", async () => {
      await Deno.mkdir(`${folder}/other`);
      await succeed("backup full", { BACKUPCTL_REPOSITORY_PATH: `${folder}/other` });
    });

    await t.step("without what the hint names, a new one is begun", async () => {
      await Deno.remove(repository, { recursive: true });
      await Deno.mkdir(repository);
      const { stderr } = await run("backup full");
      const file = /mounted\? (\S+) says/.exec(stderr)?.[1];
      await Deno.remove(file!);
      await succeed("backup full");
      assert.equal((await Deno.stat(file!)).mode! & 0o777, 0o600);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
