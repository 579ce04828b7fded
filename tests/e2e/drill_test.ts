/** Drills as typed: a copy that nobody reaches, checked, and gone again. */
import assert from "node:assert/strict";
import { InstalledProgram } from "../support/installed_program.ts";
import {
  type Cluster,
  type ClusterMajor,
  clusterMajors,
  giveToServer,
  speaksTls,
  startCluster,
} from "../support/postgres_cluster.ts";
import { archiveNow } from "../support/recoveries.ts";
import type { CliResult } from "../support/run_cli.ts";
import { sendSignal } from "../support/send_signal.ts";
import { serverUser } from "../support/server_user.ts";

class Rig implements AsyncDisposable {
  readonly program: InstalledProgram;
  readonly cluster: Cluster;
  readonly #env: Readonly<Record<string, string>>;

  constructor(program: InstalledProgram, cluster: Cluster, env: Readonly<Record<string, string>>) {
    this.program = program;
    this.cluster = cluster;
    this.#env = env;
  }

  static async open({ binDir }: ClusterMajor): Promise<Rig> {
    const program = await InstalledProgram.install();
    const { folder } = program;
    for (const name of ["repository", "scratch"]) await Deno.mkdir(`${folder}/${name}`);
    await giveToServer(folder);
    const env = {
      ...program.env,
      BACKUPCTL_REPOSITORY_PATH: `${folder}/repository`,
      BACKUPCTL_METADATA_URL: "off",
    };
    const cluster = await startCluster({
      binDir,
      walSegmentMb: 1,
      archive: `${program.path} wal-push %p`,
      env: { ...env, HOME: folder },
      settings: { fsync: "off", wal_level: "logical" },
      tablespaces: ["fast"],
    });
    return new Rig(program, cluster, env);
  }

  get env(): Readonly<Record<string, string>> {
    return {
      ...this.#env,
      BACKUPCTL_POSTGRES_BIN: this.cluster.binDir,
      ...{ PG_HOST: "127.0.0.1", PG_PORT: String(this.cluster.port), PG_USER: "postgres" },
      ...{ PGSSLMODE: "disable", TMPDIR: this.temporary },
    };
  }

  /** Where temporary scratch folders appear. */
  get temporary(): string {
    return `${this.program.folder}/scratch`;
  }

  async run(line: string, { root = false } = {}): Promise<CliResult> {
    return await this.program.run(line.split(" "), { env: this.env, root });
  }

  async ok(line: string, options: { readonly root?: boolean } = {}): Promise<string> {
    const result = await this.run(line, options);
    assert.equal(result.status, 0, `${line}: ${result.stderr}${result.stdout}`);
    return result.stdout;
  }

  async scratch(): Promise<string[]> {
    return (await Array.fromAsync(Deno.readDir(this.temporary))).map(({ name }) => name);
  }

  /** Keys below `<system>/<room>/`. */
  async keys(room: string): Promise<string[]> {
    const all = (await this.ok("repo ls")).split("\n");
    return all.map((row) => row.trim().split(/\s+/).at(-1) ?? "")
      .filter((key) => new RegExp(`^main/\\d+/${room}/`).test(key)).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
    await this.program[Symbol.asyncDispose]();
  }
}

/** Processes whose command line names the folder. */
async function serversIn(folder: string): Promise<number> {
  const { stdout } = await new Deno.Command("ps", { args: ["-eo", "args"] }).output();
  const lines = new TextDecoder().decode(stdout).split("\n");
  return lines.filter((line) => /postgres/.test(line) && line.includes(folder)).length;
}

/** A drill whose checks have begun, and take their time. */
async function slowDrill({ program, env }: Rig): Promise<Deno.ChildProcess> {
  const [sql, begun] = [`${program.folder}/slow.sql`, `${program.folder}/begun`];
  await Deno.remove(begun).catch(() => {});
  await Deno.writeTextFile(sql, `\\! touch ${begun}\nselect pg_sleep(60);\n`);
  await giveToServer(sql);
  const child = new Deno.Command(program.path, {
    args: ["drill", "--sql", sql],
    clearEnv: true,
    env: { PATH: Deno.env.get("PATH")!, HOME: program.folder, ...env },
    cwd: program.folder,
    ...serverUser(),
    ...{ stdin: "null", stdout: "null", stderr: "piped" },
  }).spawn();
  let ended = false;
  child.status.then(() => ended = true);
  while (!await Deno.stat(begun).catch(() => undefined)) {
    assert.ok(!ended, "it has ended before its checks");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return child;
}

for (const major of clusterMajors()) {
  Deno.test(`PostgreSQL ${major.major}: drill restores, opens, checks and tidies up`, async (t) => {
    await using rig = await Rig.open(major);
    const { cluster, program } = rig;
    const available = await cluster.query(
      "select from pg_available_extensions where name = 'amcheck'",
    );
    const amcheck = available.length > 0 ? "--amcheck " : "";
    await cluster.psql(
      "create role admin superuser login; create database app; create table only_here (a int)",
    );
    await cluster.psql(
      `create table orders as select g as id, repeat('x', 50) as filler
         from generate_series(1, 500) g;
       create unique index on orders (id);
       create table moved (a int) tablespace fast; insert into moved values (7);
       create publication news for table orders;`,
      { database: "app" },
    );
    const conf = `${cluster.dataDir}/postgresql.conf`;
    // What would harm the original, or lead the copy to it, if the copy took it for its own.
    const lines = [
      `data_directory = '${cluster.dataDir}'`,
      `external_pid_file = '${program.folder}/original.pid'`,
      `hba_file = '/nonexistent/pg_hba.conf'`,
      `synchronous_standby_names = 'nobody'`,
      ...(speaksTls(cluster.binDir) ? ["ssl = on"] : []),
      `port = ${cluster.port}`,
    ];
    await Deno.writeTextFile(conf, `${lines.join("\n")}\n`, { append: true });
    await archiveNow(cluster);
    await rig.ok("backup full --method physical --fast-checkpoint --label base");
    const [physical] = await backups(rig);
    await cluster.query("insert into orders select 500 + g, 'late' from generate_series(1, 10) g", {
      database: "app",
    });
    await archiveNow(cluster);
    const walBefore = await rig.keys("wal");

    await t.step("the newest backup opens, and nothing is left", async () => {
      const report = JSON.parse(await rig.ok("drill --output json"));
      assert.deepEqual([report.schema, report.ok], ["backupctl.drill/1", true]);
      assert.equal(report.backup.id, physical);
      assert.ok(report.recovery_seconds >= report.restore_seconds && report.restore_seconds > 0);
      assert.deepEqual([report.checks, report.scratch_folder], [[], null]);
      assert.deepEqual(await rig.scratch(), []);
      const kept = await rig.keys("drilled");
      assert.equal(kept.length, 1);
      assert.match(kept[0]!, new RegExp(`/drilled/${physical}/\\d{8}T\\d{9}Z-ok\\.json$`));
      const record = JSON.parse(await rig.ok(`repo cat ${kept[0]}`));
      assert.equal(record.recoverySeconds, report.recovery_seconds);
    });

    await t.step("rolled forward to the end, with amcheck, rows and SQL", async () => {
      const sql = `${program.folder}/check.sql`;
      await Deno.writeTextFile(
        sql,
        `do $$ begin
           assert (select count(*) from orders) = 510, 'rows';
           assert (select a from moved) = 7, 'the tablespace';
           assert current_setting('listen_addresses') = '', 'reachable';
           assert current_setting('archive_mode') = 'off', 'archives';
           assert current_setting('data_directory') <> '${cluster.dataDir}', 'the original';
         end $$;
         insert into orders values (0, 'it can be written');`,
      );
      await giveToServer(sql);
      const line = `drill --latest ${amcheck}--sql ${sql} --min-rows orders=510 --output json`;
      const report = JSON.parse(await rig.ok(line));
      assert.equal(report.checks.length, amcheck ? 3 : 2);
      assert.ok(
        report.checks.every(({ ok }: { ok: boolean }) => ok),
        JSON.stringify(report.checks),
      );
      assert.equal(report.recovery.target, "latest");
      assert.match(report.last_commit, /^\d{4}-/);
    });

    await t.step("a copy that does not open is kept, and said", async () => {
      const { status, stderr } = await rig.run("drill --to-name absent");
      assert.equal(status, 5, stderr);
      assert.match(stderr, /^error: the restored server ended: .*recovery target was reached/m);
      const [folder] = await rig.scratch();
      assert.match(stderr, new RegExp(`the scratch folder is kept: .*${folder}`));
      await Deno.remove(`${rig.temporary}/${folder}`, { recursive: true });
    });

    await t.step("it archives nothing, and the original is as it was", async () => {
      assert.deepEqual(await rig.keys("wal"), walBefore);
      const [row] = await cluster.query("select count(*)::int as n from orders", {
        database: "app",
      });
      assert.equal(row!.n, 510);
    });

    await t.step("a check that fails ends with 8 and keeps the stopped copy", async () => {
      const before = await rig.keys("drilled");
      const line = "drill --min-rows orders=501 --min-rows missing=1 --min-rows orders=500";
      const { status, stdout, stderr } = await rig.run(line);
      assert.equal(status, 8, stderr);
      assert.match(stdout, /failed in 2 of 3 checks$/m);
      assert.match(stdout, /failed {2}rows of orders +500 rows, and 501 are expected at least$/m);
      assert.match(stdout, /failed {2}rows of missing +database app has no table missing$/m);
      assert.match(stderr, /^error: the drill of backup .* failed: rows of orders: 500 rows/m);
      const [folder] = await rig.scratch();
      assert.match(
        stderr,
        new RegExp(`^hint: the restored copy is kept in .*${folder}; the next drill`, "m"),
      );
      assert.equal(await serversIn(rig.temporary), 0);
      await Deno.stat(`${rig.temporary}/${folder}/data/global/pg_control`);
      const again = await rig.run("drill --min-rows orders=501");
      assert.equal(again.status, 8, again.stderr);
      assert.match(again.stderr, new RegExp(`copy of an earlier drill is removed: .*${folder}`));
      const [newer, ...others] = await rig.scratch();
      assert.deepEqual([newer === folder, others], [false, []]);
      await Deno.remove(`${rig.temporary}/${newer}`, { recursive: true });
      const added = (await rig.keys("drilled")).filter((key) => !before.includes(key));
      assert.match(added.join(), /-failed\.json$/);
    });

    await t.step(
      "a table or database that is not there is no damage, and ends with 7",
      async () => {
        const before = await rig.keys("drilled");
        const table = await rig.run("drill --database postgres --min-rows orders=1");
        assert.equal(table.status, 7, table.stderr);
        const where = "^error: database postgres has no table orders; there is one in app, in the";
        assert.match(table.stderr, new RegExp(where, "m"));
        assert.match(table.stderr, /^hint: --database says where to look/m);
        const database = await rig.run("drill --database nope --min-rows orders=1");
        assert.equal(database.status, 7, database.stderr);
        assert.match(database.stderr, /^error: there is no database "nope" in backup/m);
        assert.doesNotMatch(database.stderr, /restoring/);
        const later = await rig.run("drill --latest --database nope --min-rows orders=1");
        assert.equal(later.status, 7, later.stderr);
        assert.match(later.stderr, /^error: there is no database "nope" in backup/m);
        assert.deepEqual(await rig.scratch(), []);
        assert.deepEqual(await rig.keys("drilled"), before);
      },
    );

    await t.step(
      "a file of SQL that is not there is told before anything is restored",
      async () => {
        const { status, stderr } = await rig.run("drill --sql /no/such.sql");
        assert.equal(status, 2, stderr);
        assert.match(stderr, /^error: there is no file \/no\/such\.sql$/m);
        assert.deepEqual(await rig.scratch(), []);
      },
    );

    await t.step("--keep-scratch leaves a folder of one's own choice", async () => {
      const destination = `${program.folder}/kept`;
      const stdout = await rig.ok(`drill --keep-scratch --destination ${destination}`);
      assert.match(stdout, new RegExp(`the scratch folder is kept: ${destination}$`, "m"));
      const refused = await rig.run(`drill --destination ${destination}`);
      assert.equal(refused.status, 9, refused.stderr);
      await Deno.remove(destination, { recursive: true });
    });

    await t.step("a logical backup goes into a new cluster", async () => {
      await rig.ok("backup full --method logical");
      const line = `drill ${amcheck}--database app --min-rows orders=510 --output json`;
      const report = JSON.parse(await rig.ok(line));
      assert.equal(report.backup.method, "logical");
      assert.ok(
        report.checks.every(({ ok }: { ok: boolean }) => ok),
        JSON.stringify(report.checks),
      );
      assert.deepEqual(await rig.scratch(), []);
      const versions = await Array.fromAsync(Deno.readDir(`${cluster.folder}/tablespace_fast`));
      assert.equal(versions.length, 1, "only the original's");
    });

    await t.step("amcheck finds an index that is not of its table", async () => {
      await cluster.psql(
        `create function f(int) returns int language sql immutable as 'select $1';
         create index wrong on orders (f(id));
         create or replace function f(int) returns int language sql immutable as 'select -$1';`,
        { database: "app" },
      );
      await rig.ok("backup full --method physical --fast-checkpoint");
      const { status, stdout, stderr } = await rig.run("drill --amcheck --output json");
      if (!amcheck) {
        console.warn(
          `PostgreSQL ${major.major} here comes without amcheck: only its refusal is seen`,
        );
        assert.equal(status, 13, stderr);
        return;
      }
      assert.equal(status, 8, stderr);
      const { ok, checks } = JSON.parse(stdout);
      assert.equal(ok, false);
      assert.match(checks[0].detail, /wrong/);
      for (const name of await rig.scratch()) {
        await Deno.remove(`${rig.temporary}/${name}`, { recursive: true });
      }
    });

    await t.step("Ctrl-C leaves neither folder nor server", async () => {
      const before = await rig.keys("drilled");
      const child = await slowDrill(rig);
      sendSignal(child, "SIGINT");
      const { code, stderr } = await child.output();
      const said = new TextDecoder().decode(stderr);
      assert.equal(code, 130, said);
      assert.match(said, /interrupted by SIGINT/);
      assert.deepEqual(await rig.scratch(), []);
      assert.equal(await serversIn(rig.temporary), 0);
      assert.deepEqual(await rig.keys("drilled"), before);
    });

    await t.step("a drill that was killed leaves nothing behind the next one", async () => {
      const child = await slowDrill(rig);
      sendSignal(child, "SIGKILL");
      await child.output();
      const [folder] = await rig.scratch();
      assert.ok(await serversIn(rig.temporary) > 0);
      const { status, stderr } = await rig.run("drill");
      assert.equal(status, 0, stderr);
      assert.match(stderr, new RegExp(`copy of an earlier drill is removed: .*${folder}`));
      assert.deepEqual(await rig.scratch(), []);
      assert.equal(await serversIn(rig.temporary), 0);
    });

    await t.step("a damaged backup ends with 8, and leaves nothing to look at", async () => {
      const { id } = (await rig.keys("backups")).map((key) => ({ key, id: key.split("/")[3] }))
        .find(({ key }) => key.includes(physical!) && key.endsWith("chunks/0001.tar.zst"))!;
      const key = (await rig.keys("backups")).find((one) =>
        one.includes(id!) && one.endsWith("chunks/0001.tar.zst")
      )!;
      const path = `${program.folder}/repository/${key}`;
      const bytes = await Deno.readFile(path);
      bytes[bytes.length >> 1]! ^= 1;
      await Deno.writeFile(path, bytes);
      const { status, stderr } = await rig.run(`drill --backup-id ${physical}`);
      assert.equal(status, 8, stderr);
      assert.match(stderr, /^error: object .*0001\.tar\.zst is damaged/m);
      assert.doesNotMatch(stderr, /unfinished restore/);
      assert.deepEqual(await rig.scratch(), []);
    });

    if (Deno.uid() === 0 && await hasPostgresAccount()) {
      await t.step("as root, the server runs as the account postgres", async () => {
        await rig.ok("drill --min-rows orders=1", { root: true });
        assert.deepEqual(await rig.scratch(), []);
      });
    }
  });
}

async function hasPostgresAccount(): Promise<boolean> {
  return /^postgres:/m.test(await Deno.readTextFile("/etc/passwd"));
}

async function backups(rig: Rig): Promise<string[]> {
  const { backups } = JSON.parse(await rig.ok("status --output json"));
  return backups.map(({ id }: { id: string }) => id);
}
