/** Backups from a standby: its WAL comes from the primary, and its promotion ends them. */
import assert from "node:assert/strict";
import { InstalledProgram } from "../support/installed_program.ts";
import {
  type Cluster,
  type ClusterMajor,
  clusterMajors,
  giveToServer,
  startCluster,
} from "../support/postgres_cluster.ts";
import { archiveNow } from "../support/recoveries.ts";
import type { CliResult } from "../support/run_cli.ts";

/** What `--output json` says of a backup, as far as it is looked at. */
interface Taken {
  readonly id: string;
  readonly method: string;
  readonly kind: string;
  readonly timeline: number;
  readonly parent_id: string | null;
  readonly stored_bytes: number;
}

class Rig implements AsyncDisposable {
  readonly program: InstalledProgram;
  readonly primary: Cluster;
  readonly standby: Cluster;
  readonly #env: Readonly<Record<string, string>>;

  constructor(
    parts: Pick<Rig, "program" | "primary" | "standby">,
    env: Readonly<Record<string, string>>,
  ) {
    this.program = parts.program;
    this.primary = parts.primary;
    this.standby = parts.standby;
    this.#env = env;
  }

  static async open({ binDir, major }: ClusterMajor): Promise<Rig> {
    const program = await InstalledProgram.install();
    await Deno.mkdir(`${program.folder}/repository`);
    await giveToServer(program.folder);
    const env = {
      ...program.env,
      BACKUPCTL_REPOSITORY_PATH: `${program.folder}/repository`,
      BACKUPCTL_METADATA_URL: "off",
    };
    const primary = await startCluster({
      binDir,
      walSegmentMb: 1,
      archive: `${program.path} wal-push %p`,
      env: { ...env, HOME: program.folder },
      settings: {
        ...{ fsync: "off", wal_level: "replica", hot_standby: "on" },
        ...(keepsSummaries(major) && { summarize_wal: "on" }),
      },
    });
    const dataDir = `${primary.folder}/standby`;
    await primary.run("pg_basebackup", ["-D", dataDir, "-R", "-X", "stream", "-c", "fast"]);
    const standby = await primary.startFrom(dataDir);
    return new Rig({ program, primary, standby }, env);
  }

  env(server: Cluster): Readonly<Record<string, string>> {
    return {
      ...this.#env,
      BACKUPCTL_POSTGRES_BIN: this.primary.binDir,
      ...{ PG_HOST: "127.0.0.1", PG_PORT: String(server.port), PG_USER: "postgres" },
      ...{ PGSSLMODE: "disable", TMPDIR: this.program.folder },
    };
  }

  async run(line: string, server = this.standby): Promise<CliResult> {
    return await this.program.run(line.split(" "), { env: this.env(server) });
  }

  async ok(line: string): Promise<string> {
    const result = await this.run(line);
    assert.equal(result.status, 0, `${line}: ${result.stderr}${result.stdout}`);
    return result.stdout;
  }

  /** Runs a command while the primary goes on writing and switching segments. */
  async whileItWrites(line: string): Promise<{ readonly backup: Taken }> {
    let isOver = false;
    const done = this.run(line).finally(() => isOver = true);
    while (!isOver) {
      await this.primary.query("insert into orders select max(id) + 1 from orders");
      await this.primary.query("select pg_switch_wal()");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const { status, stdout, stderr } = await done;
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout);
  }

  /** Waits until the standby has replayed what the primary has written by now. */
  async caughtUp(): Promise<void> {
    const [row] = await this.primary.query("select pg_current_wal_lsn()::text as lsn");
    const sql = `select pg_last_wal_replay_lsn() >= '${row!.lsn}'::pg_lsn as there`;
    while ((await this.standby.query(sql))[0]!.there !== true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.primary[Symbol.asyncDispose](); // and the standby with it
    await this.program[Symbol.asyncDispose]();
  }
}

/** Whether the server knows what changed since a backup. */
function keepsSummaries(major: number): boolean {
  return major >= 17;
}

for (const major of clusterMajors()) {
  Deno.test(`PostgreSQL ${major.major}: a standby is backed up, and its promotion is seen`, async (t) => {
    await using rig = await Rig.open(major);
    const { primary, standby, program } = rig;
    await primary.query("create table orders as select g as id from generate_series(1, 5000) g");
    await rig.caughtUp();
    let id = "";

    await t.step("a primary is no standby", async () => {
      const { status, stderr } = await rig.run("backup full --from-standby", primary);
      assert.equal(status, 5, stderr);
      assert.match(stderr, /^error: the server at .* is no standby$/m);
    });

    await t.step("WAL that the primary does not end is waited for, and named", async () => {
      const line = "backup full --from-standby --fast-checkpoint --wait-wal 1s";
      const { status, stderr } = await rig.run(line);
      assert.equal(status, 1, stderr);
      assert.match(stderr, /not in the repository after 1 s: the primary archives it when/);
      assert.match(
        (await rig.run("status")).stderr + (await rig.run("status")).stdout,
        /no backup/,
      );
    });

    await t.step("a backup waits for the WAL that the primary archives", async () => {
      const { backup } = await rig.whileItWrites(
        "backup full --from-standby --fast-checkpoint --output json",
      );
      id = backup.id;
      assert.deepEqual([backup.method, backup.timeline], ["physical", 1]);
      assert.deepEqual(await primary.query("select from pg_replication_slots"), []);
      assert.deepEqual(await standby.query("select from pg_replication_slots"), []);
    });

    await t.step(
      "an increment of it stands on it, where the standby knows what changed",
      async () => {
        // A restartpoint behind the parent's end, without which a standby has nothing to begin at.
        await primary.query("checkpoint");
        await rig.caughtUp();
        await standby.query("checkpoint");
        const line = "backup incremental --from-standby --fast-checkpoint --output json";
        const { backup } = await rig.whileItWrites(line);
        const kept = keepsSummaries(major.major);
        assert.deepEqual(
          [backup.kind, backup.parent_id],
          kept ? ["incremental", id] : ["full", null],
          JSON.stringify(backup),
        );
        id = backup.id;
      },
    );

    await t.step("it opens at its own end, and rolls forward to the primary's", async () => {
      await rig.ok(`drill --backup-id ${id} --min-rows orders=5000`);
      await primary.query("insert into orders select g from generate_series(10001, 12000) g");
      await archiveNow(primary);
      const [row] = await primary.query("select count(*)::int as n from orders");
      await rig.ok(`drill --latest --min-rows orders=${row!.n}`);
      assert.match(await rig.ok("verify"), /nothing is damaged or missing/);
    });

    await t.step("a promotion during it ends it with 5, and nothing is left", async () => {
      const log: string[] = [];
      const child = new Deno.Command(program.path, {
        args: "backup full --from-standby --fast-checkpoint --max-rate 1M".split(" "),
        clearEnv: true,
        env: { PATH: Deno.env.get("PATH")!, HOME: program.folder, ...rig.env(standby) },
        cwd: program.folder,
        ...{ stdin: "null", stdout: "null", stderr: "piped" },
      }).spawn();
      let promotion: Promise<unknown> | undefined;
      for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
        log.push(text);
        if (!promotion && log.join("").includes("copying the cluster")) {
          promotion = standby.query("select pg_promote()");
        }
      }
      await promotion;
      const { code } = await child.status;
      assert.equal(code, 5, log.join(""));
      assert.match(log.join(""), /promoted during online backup/);
      const { backups } = JSON.parse(await rig.ok("status --output json"));
      const kept: string[] = backups.map((backup: { id: string }) => backup.id);
      assert.deepEqual([kept.length, kept.at(-1)], [2, id]);
      const folders = (await rig.ok("repo ls")).match(/backups\/[^/]+/g) ?? [];
      const expected = kept.map((one) => `backups/${one}`).sort();
      assert.deepEqual([...new Set(folders)].sort(), expected);
    });
  });
}
