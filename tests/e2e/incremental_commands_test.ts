/** `backup incremental` and the restore of a chain, as people type them. */
import assert from "node:assert/strict";
import { generateIdentity } from "../../src/crypto/crypto.ts";
import { InstalledProgram } from "../support/installed_program.ts";
import { incrementalMajors, SUMMARIES } from "../support/increment_world.ts";
import { type Cluster, giveToServer, startCluster } from "../support/postgres_cluster.ts";
import { archiveNow, createSteps, step } from "../support/recoveries.ts";
import type { CliResult } from "../support/run_cli.ts";

interface RunOptions {
  readonly status?: number;
  readonly cwd?: string;
  /** Further variables. */
  readonly more?: Readonly<Record<string, string>>;
}

/** A server that archives with the installed program, and a repository in a folder. */
class Rig implements AsyncDisposable {
  readonly program: InstalledProgram;
  readonly cluster: Cluster;
  readonly repository: string;
  readonly env: Readonly<Record<string, string>>;

  private constructor(program: InstalledProgram, cluster: Cluster, repository: string) {
    this.program = program;
    this.cluster = cluster;
    this.repository = repository;
    this.env = {
      PG_HOST: "127.0.0.1",
      PG_PORT: String(cluster.port),
      PG_USER: cluster.user,
      PGSSLMODE: "disable",
      BACKUPCTL_REPOSITORY_PATH: repository,
      BACKUPCTL_METADATA_URL: "off",
    };
  }

  static async start(
    binDir?: string,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<Rig> {
    const program = await InstalledProgram.install();
    const repository = `${program.folder}/repository`;
    await Deno.mkdir(repository);
    await giveToServer(program.folder);
    const cluster = await startCluster({
      ...(binDir && { binDir }),
      settings,
      archive: `${program.path} wal-push %p`,
      env: { ...program.env, HOME: program.folder, BACKUPCTL_REPOSITORY_PATH: repository },
    });
    return new Rig(program, cluster, repository);
  }

  /** Words are parted by spaces. */
  async run(
    line: string,
    { status = 0, cwd = "/", more = {} }: RunOptions = {},
  ): Promise<CliResult> {
    const result = await this.program.run(line.split(" "), { env: { ...this.env, ...more }, cwd });
    assert.equal(result.status, status, `${line}: ${result.stderr}${result.stdout}`);
    return result;
  }

  /** What the command says as JSON. */
  async json(line: string, options: RunOptions = {}) {
    return JSON.parse((await this.run(`${line} --output json`, options)).stdout);
  }

  /** The folder of a backup. */
  async folderOf(id: string): Promise<string> {
    for await (const { name } of Deno.readDir(`${this.repository}/main`)) {
      const folder = `${this.repository}/main/${name}/backups/${id}`;
      if (await Deno.stat(folder).catch(() => undefined)) return folder;
    }
    throw new Error(`there is no folder of ${id}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
    await this.program[Symbol.asyncDispose]();
  }
}

async function lastStep(cluster: Cluster, destination: string): Promise<number> {
  const copy = await cluster.startFrom(destination);
  await copy.query(
    "do $$ begin for turn in 1..2000 loop exit when not pg_is_in_recovery(); perform pg_sleep(0.01); end loop; end $$",
  );
  const [row] = await copy.query("select coalesce(max(row), 0) as row from steps");
  await copy.stop();
  return Number(row!["row"]);
}

for (const { major, binDir } of incrementalMajors()) {
  Deno.test(`backup incremental of PostgreSQL ${major}, recovery on top of it, and damage`, async (t) => {
    await using rig = await Rig.start(binDir, SUMMARIES);
    const { cluster } = rig;
    await createSteps(cluster);
    await cluster.query(
      "create table bulk as select i, md5(i::text) from generate_series(1, 200000) i",
    );
    await archiveNow(cluster); // before that nobody knows whether WAL arrives
    const ids: string[] = [];

    await t.step("the first one is a full backup, and says why", async () => {
      const dry = await rig.json("backup incremental --dry-run");
      assert.deepEqual([dry.kind, dry.parent_id], ["full", null]);
      const { backup, full_because } = await rig.json(
        "backup incremental --method physical --fast-checkpoint",
      );
      assert.deepEqual([backup.kind, backup.parent_id], ["full", null]);
      assert.match(full_because, /there is no physical backup of this system/);
      ids.push(backup.id);
    });

    await t.step("the next ones stand on it and are small", async () => {
      for (const row of [1, 2]) {
        await step(cluster, row);
        const dry = await rig.run("backup incremental --dry-run");
        assert.match(dry.stdout, new RegExp(`an increment on top of ${ids.at(-1)}`));
        const { backup, full_because } = await rig.json(
          `backup incremental --label link-${row} --fast-checkpoint`,
        );
        assert.equal(full_because, null);
        assert.deepEqual(
          [backup.kind, backup.parent_id, backup.label],
          ["incremental", ids.at(-1), `link-${row}`],
        );
        assert.match(backup.id, /-I(-\d+)?$/);
        assert.ok(backup.stored_bytes < 2_000_000, `${backup.stored_bytes} bytes`);
        ids.push(backup.id);
      }
      const { backups } = await rig.json("status");
      const shown = backups.map(({ id }: { id: string }) => id).sort();
      assert.deepEqual(shown, ids.toSorted());
    });

    await t.step("a logical increment is refused", async () => {
      const { stderr } = await rig.run("backup incremental --method logical", { status: 2 });
      assert.match(stderr, /--method logical does not go with an increment/);
    });

    await t.step("recovery starts from the newest increment before the moment", async () => {
      const moment = await step(cluster, 3);
      await step(cluster, 4);
      await archiveNow(cluster);
      const destination = `${rig.program.folder}/at-3`;
      const plan = await rig.run(
        `restore --to-lsn ${moment.lsn} --destination ${destination} --plan`,
      );
      assert.match(plan.stdout, new RegExp(`built on +${ids[1]}, ${ids[0]}$`, "m"));
      const report = await rig.json(`restore --to-lsn ${moment.lsn} --destination ${destination}`);
      assert.equal(report.backup.id, ids[2]);
      assert.equal(await lastStep(cluster, destination), 3);
      const older = `${rig.program.folder}/at-latest`;
      await rig.run(`restore --latest --backup-id ${ids[1]} --destination ${older}`);
      assert.equal(await lastStep(cluster, older), 4);
    });

    await t.step("an interrupted restore is gone on with", async () => {
      const destination = `${rig.program.folder}/again`;
      await rig.run(`restore --destination ${destination}`);
      const report = await rig.json(`restore --delta --destination ${destination}`);
      assert.ok(report.kept_files > 500, `${report.kept_files} files stayed`);
      const { stderr } = await rig.run(`restore --force --destination ${destination}`, {
        status: 2,
      });
      assert.match(stderr, /--force goes with --delta/);
    });

    await t.step(
      "a chain without one of its objects is refused, and gets no increment",
      async () => {
        const chunk = `${await rig.folderOf(ids[1]!)}/chunks/0001.tar.zst`;
        await Deno.rename(chunk, `${chunk}.away`);
        const destination = `${rig.program.folder}/broken`;
        const { stderr } = await rig.run(`restore --destination ${destination}`, { status: 8 });
        assert.match(stderr, new RegExp(`0001.tar.zst is missing in backup ${ids[1]}`));
        await rig.run(`restore --destination ${destination} --plan`, { status: 9 });
        const { backup, full_because } = await rig.json("backup incremental --fast-checkpoint");
        assert.equal(backup.kind, "full");
        assert.match(full_because, /is damaged: object chunks\/0001\.tar\.zst is missing/);
        await Deno.rename(`${chunk}.away`, chunk);
        await Deno.remove(await rig.folderOf(backup.id), { recursive: true });
      },
    );

    await t.step("an increment whose parent is gone is no candidate any more", async () => {
      const manifest = `${await rig.folderOf(ids[1]!)}/backup.json`;
      await Deno.rename(manifest, `${manifest}.away`);
      const destination = `${rig.program.folder}/orphan`;
      const { stderr } = await rig.run(`restore --destination ${destination}`, { status: 8 });
      assert.match(stderr, new RegExp(`${ids[1]}, which ${ids[2]} is on top of, is missing`));
      const report = await rig.json(`restore --latest --destination ${destination}`);
      assert.equal(report.backup.id, ids[0]);
      assert.equal(await lastStep(cluster, destination), 4);
      await Deno.rename(`${manifest}.away`, manifest);
    });

    await t.step("in a data directory without its archiver the words are refused", async () => {
      const { stderr } = await rig.run("backup incremental", { status: 1, cwd: cluster.dataDir });
      assert.match(stderr, /wal-push %p/);
    });
  });

  Deno.test(`backup incremental of PostgreSQL ${major} without summaries takes a full backup`, async (t) => {
    await using rig = await Rig.start(binDir, { wal_level: "replica" });
    const { cluster } = rig;
    await rig.run("backup full --method physical --fast-checkpoint");
    await t.step("while they are off", async () => {
      const { backup, full_because } = await rig.json("backup incremental --source stream");
      assert.equal(backup.kind, "full");
      assert.match(full_because, /summarize_wal is off/);
    });
    await t.step("while they do not reach back to the parent", async () => {
      await cluster.query("alter system set summarize_wal = on");
      await cluster.query("select pg_reload_conf()");
      await cluster.query("checkpoint");
      await cluster.query(
        "do $$ begin for turn in 1..2000 loop exit when exists (select from " +
          "pg_available_wal_summaries()); perform pg_sleep(0.01); end loop; end $$",
      );
      for await (const { name } of Deno.readDir(`${cluster.dataDir}/pg_wal/summaries`)) {
        await Deno.remove(`${cluster.dataDir}/pg_wal/summaries/${name}`);
      }
      const { backup, full_because } = await rig.json(
        "backup incremental --source stream --fast-checkpoint",
      );
      assert.equal(backup.kind, "full");
      assert.match(full_because, /WAL summaries are required/);
    });
  });
}

for (const { major, binDir } of incrementalMajors()) {
  Deno.test(`increments of PostgreSQL ${major} by its summaries and by page LSNs stand on each other`, async () => {
    await using rig = await Rig.start(binDir, SUMMARIES);
    const { cluster } = rig;
    await createSteps(cluster);
    await cluster.query(
      "create table bulk as select i, md5(i::text) from generate_series(1, 90000) i",
    );
    await rig.run("backup full --method physical --fast-checkpoint --source files");
    const kinds: string[] = [];
    for (const [row, source] of ["files", "stream", "stream"].entries()) {
      await step(cluster, row + 1);
      await cluster.query(`update bulk set md5 = 'x' where i % 900 = ${row}`);
      const { backup } = await rig.json(`backup incremental --fast-checkpoint --source ${source}`);
      kinds.push(backup.kind);
    }
    assert.deepEqual(kinds, ["incremental", "incremental", "incremental"]);
    const destination = `${rig.program.folder}/mixed`;
    await rig.run(`restore --destination ${destination}`);
    const copy = await cluster.startFrom(destination);
    const count = "select count(*)::int as changed from bulk where md5 = 'x'";
    assert.deepEqual(await copy.query(count), await cluster.query(count));
    await copy.run("pg_amcheck", ["--install-missing", "--heapallindexed", "-d", "postgres"]);
    await copy.stop();
    assert.equal(await lastStep(cluster, destination), 3);
  });
}

for (const { major, binDir } of incrementalMajors()) {
  Deno.test(`encrypted increments of PostgreSQL ${major} open by the identity, or the machine that took them`, async () => {
    await using rig = await Rig.start(binDir, SUMMARIES);
    const { cluster } = rig;
    await createSteps(cluster);
    const { identity, recipient } = await generateIdentity();
    const file = `${rig.program.folder}/identity`;
    await Deno.writeTextFile(file, `${identity}\n`, { mode: 0o600 });
    await giveToServer(file);
    const closed = { BACKUPCTL_ENCRYPTION_RECIPIENTS: recipient };
    const open = { ...closed, BACKUPCTL_ENCRYPTION_IDENTITY_FILE: file };
    const take = "backup incremental --method physical --fast-checkpoint --source stream";
    await rig.json(take, { more: open });
    await step(cluster, 1);
    const { backup, full_because } = await rig.json(take, { more: open });
    assert.deepEqual([backup.kind, full_because], ["incremental", null]);
    const destination = `${rig.program.folder}/opened`;
    await rig.run(`restore --destination ${destination}`, { more: open });
    assert.equal(await lastStep(cluster, destination), 1);
    const here = await rig.json(take, { more: closed });
    assert.equal(here.backup.kind, "incremental", "this machine has kept the list");
    const elsewhere = `${rig.program.folder}/elsewhere`;
    await Deno.mkdir(elsewhere);
    await giveToServer(elsewhere);
    const without = await rig.json(take, { more: { ...closed, HOME: elsewhere } });
    assert.equal(without.backup.kind, "full");
    assert.match(without.full_because, /cannot be read/);
  });
}

Deno.test("backup incremental of a server without increments takes a full backup and says why", async () => {
  await using rig = await Rig.start();
  if (rig.cluster.major >= 17) {
    return console.warn("NOT TESTED: it needs a server before 17 as the machine's own");
  }
  await rig.run("backup full --fast-checkpoint");
  const { backup, full_because } = await rig.json("backup incremental --source stream");
  assert.deepEqual([backup.kind, backup.method], ["full", "physical"]);
  assert.match(full_because, /keeps no summaries of its WAL/);
});

Deno.test("backup incremental is physical before anything is archived, and backup full warns", async () => {
  await using rig = await Rig.start();
  const { stdout, stderr } = await rig.run("backup full --quiet --output json");
  assert.equal(JSON.parse(stdout).backup.method, "logical");
  const warning = JSON.parse(stderr.trim());
  assert.deepEqual([warning.level, warning.event], ["WARNING", "backup.note"]);
  assert.match(warning.message, /^method logical, although .*select pg_switch_wal\(\)/);
  const logical = { more: { BACKUPCTL_BACKUP_METHOD: "logical" } };
  const dry = await rig.json("backup incremental --dry-run", logical);
  assert.deepEqual([dry.kind, dry.method], ["full", "physical"]);
  const { backup, full_because } = await rig.json("backup incremental");
  assert.deepEqual([backup.kind, backup.method], ["full", "physical"]);
  assert.match(full_because, /there is no physical backup of this system/);
  const { windows } = await rig.json("status");
  assert.deepEqual(windows.map((window: Record<string, unknown>) => window.open), [true]);
});
