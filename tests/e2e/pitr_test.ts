/** Point-in-time recovery as typed, across three timelines: every end is the model's. */
import assert from "node:assert/strict";
import {
  type Cluster,
  type ClusterMajor,
  clusterMajors,
  startCluster,
} from "../support/postgres_cluster.ts";
import { InstalledProgram, stopServer } from "../support/installed_program.ts";
import { archived, type Moment, type Queryable, querySteps, step } from "../support/recoveries.ts";
import { giveToServer, serverUser } from "../support/server_user.ts";
import type { CliResult } from "../support/run_cli.ts";

/** A moment with the rows that a recovery to it must have. */
type Expected = Moment & { readonly rows: readonly number[] };

/** One server after the other has this port: the restored ones. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

class Rig implements AsyncDisposable {
  readonly program: InstalledProgram;
  readonly cluster: Cluster;
  /** Of restored servers. */
  readonly port: number;
  readonly moments = new Map<number, Expected>();
  readonly #env: Readonly<Record<string, string>>;
  #copies = 0;

  constructor(
    parts: { readonly program: InstalledProgram; readonly cluster: Cluster; readonly port: number },
    env: Readonly<Record<string, string>>,
  ) {
    this.program = parts.program;
    this.cluster = parts.cluster;
    this.port = parts.port;
    this.#env = env;
  }

  static async open({ binDir }: ClusterMajor): Promise<Rig> {
    const program = await InstalledProgram.install();
    const repository = `${program.folder}/repository`;
    const env = {
      ...program.env,
      BACKUPCTL_REPOSITORY_PATH: repository,
      BACKUPCTL_METADATA_URL: "off",
    };
    const port = freePort();
    const { code } = await new Deno.Command("install", {
      args: ["-d", "-m", "700", repository],
    }).output();
    assert.equal(code, 0);
    await giveToServer(repository);
    const cluster = await startCluster({
      binDir,
      walSegmentMb: 1,
      archive: `${program.path} wal-push %p`,
      env: { ...env, HOME: program.folder },
      settings: {
        fsync: "off",
        port,
        listen_addresses: "127.0.0.1",
        unix_socket_directories: program.folder,
      },
    });
    return new Rig({ program, cluster, port }, env);
  }

  /** Runs a command line against the source, or against the restored server. */
  async run(line: string, { restored = false, root = false } = {}): Promise<CliResult> {
    const env = {
      ...this.#env,
      BACKUPCTL_POSTGRES_BIN: this.cluster.binDir,
      PG_HOST: "127.0.0.1",
      PG_PORT: String(restored ? this.port : this.cluster.port),
      PG_USER: "postgres",
      PGSSLMODE: "disable",
    };
    return await this.program.run(line.split(" "), { env, root });
  }

  async ok(
    line: string,
    options: { readonly restored?: boolean; readonly root?: boolean } = {},
  ): Promise<string> {
    const result = await this.run(line, options);
    assert.equal(result.status, 0, `${line}: ${result.stderr}${result.stdout}`);
    return result.stdout;
  }

  /** Commits rows one by one and remembers what a recovery to each must have. */
  async steps(server: Queryable, before: readonly number[], rows: readonly number[]) {
    const present = [...before];
    for (const row of rows) {
      const moment = await step(server, row);
      present.push(row);
      this.moments.set(row, { ...moment, rows: [...present] });
    }
    return present;
  }

  at(row: number): Expected {
    return this.moments.get(row)!;
  }

  /** The server that `restore --start` has started. */
  get restored(): Queryable {
    return { query: (text, options) => querySteps(this.port, text, options) };
  }

  async restore(flags: string): Promise<string> {
    const destination = `${this.program.folder}/copy${this.#copies += 1}`;
    await this.ok(`restore ${flags} --destination ${destination} --start`);
    return destination;
  }

  async emptyFolder(): Promise<string> {
    const folder = `${this.program.folder}/copy${this.#copies += 1}`;
    await Deno.mkdir(folder, { mode: 0o700 });
    await giveToServer(folder);
    return folder;
  }

  async stop(destination: string, mode: "fast" | "immediate" = "immediate"): Promise<void> {
    await stopServer(destination, { binDir: this.cluster.binDir, mode });
  }

  async restoredRows(flags: string): Promise<number[]> {
    const destination = await this.restore(flags);
    try {
      const rows = await this.restored.query("select row from steps order by row");
      return rows.map(({ row }) => Number(row));
    } finally {
      await this.stop(destination);
      await Deno.remove(destination, { recursive: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let copy = 1; copy <= this.#copies; copy++) {
      await this.stop(`${this.program.folder}/copy${copy}`);
    }
    await this.cluster[Symbol.asyncDispose]();
    await this.program[Symbol.asyncDispose]();
  }
}

async function archiveAll(server: Queryable): Promise<void> {
  const [switched] = await server.query("select pg_walfile_name(pg_switch_wal()) as name");
  await archived(server, String(switched!.name));
}

function newestId(status: string): string {
  return JSON.parse(status).backups.at(-1).id;
}

for (const major of clusterMajors()) {
  Deno.test(`PostgreSQL ${major.major}: restore reaches every kind of target on three timelines`, async (t) => {
    await using rig = await Rig.open(major);
    const { cluster } = rig;
    let [first, second] = ["", ""];

    await t.step("auto is logical until a segment is archived here, then physical", async () => {
      await cluster.query("create table steps (row int primary key, filler text)");
      assert.match(await rig.ok("backup full"), /\(logical full\)/);
      await archiveAll(cluster);
      assert.match(await rig.ok("backup full"), /\(physical full\)/);
      first = newestId(await rig.ok("status --output json"));
    });

    await t.step("a backup whose WAL does not arrive is no backup", async () => {
      await cluster.query("alter system set archive_command = 'false backupctl wal-push %p'");
      await cluster.query("select pg_reload_conf()");
      const line = "backup full --method physical --fast-checkpoint --wait-wal 1s";
      const failed = await rig.run(line);
      assert.equal(failed.status, 1, failed.stderr);
      assert.match(failed.stderr, /error: WAL segment 0{7}1.* not in the repository after 1 s: /);
      assert.equal(newestId(await rig.ok("status --output json")), first);
      const waiting = await rig.ok("wal status");
      assert.match(
        waiting,
        /^the server: the last archived is 0.*; (1 file \(.*\) waits|\d+ files \(.*\) wait), /m,
      );
      await cluster.query("alter system reset archive_command");
      await cluster.query("select pg_reload_conf()");
    });

    await t.step("timeline 1, and what is lost at the fork", async () => {
      let rows = await rig.steps(cluster, [], [1, 2, 3, 4]);
      await cluster.query("select pg_create_restore_point('one')");
      rows = await rig.steps(cluster, rows, [5, 6, 7]);
      await archiveAll(cluster);
      await rig.steps(cluster, rows, [8, 9, 10]);
      await archiveAll(cluster);
    });

    await t.step("timeline 2 leaves it behind row 6, and is backed up", async () => {
      const copy = await rig.restore(`--to ${rig.at(6).time} --keep-archiving`);
      let rows = await rig.steps(rig.restored, rig.at(6).rows, [101, 102]);
      await archiveAll(rig.restored);
      await rig.ok("backup full --method physical --fast-checkpoint", { restored: true });
      second = newestId(await rig.ok("status --output json"));
      rows = await rig.steps(rig.restored, rows, [103]);
      await rig.restored.query("select pg_create_restore_point('two')");
      await rig.steps(rig.restored, rows, [104, 105, 106]);
      await archiveAll(rig.restored);
      await rig.stop(copy, "fast");
    });

    await t.step("timeline 3 leaves that at the restore point", async () => {
      const copy = await rig.restore("--to-name two --keep-archiving");
      await rig.steps(rig.restored, rig.at(103).rows, [201, 202, 203]);
      await archiveAll(rig.restored);
      await rig.stop(copy, "fast");
    });

    const targets = () =>
      [
        ["--latest", 203],
        [`--to ${rig.at(202).time}`, 202],
        [`--to-lsn ${rig.at(104).lsn} --timeline 2`, 104],
        [`--to-xid ${rig.at(105).xid} --timeline 2`, 105],
        [`--to ${rig.at(9).time} --timeline 1`, 9],
        [`--to ${rig.at(3).time} --action pause`, 3],
        [`--to-name one --backup-id ${first}`, 4],
        ["--immediate", 102],
      ] as const;
    for (const [index] of Array.from({ length: 8 }).entries()) {
      await t.step(`target ${index + 1} of 8`, async () => {
        const [flags, row] = targets()[index]!;
        assert.deepEqual(await rig.restoredRows(flags), rig.at(row).rows, flags);
      });
    }

    await t.step("nothing is restored over a running server, whatever is asked", async () => {
      const destination = await rig.restore("--latest");
      try {
        for (const flags of ["", " --delta", " --delta --force", " --delta --plan"]) {
          const refused = await rig.run(`restore --destination ${destination}${flags}`);
          assert.equal(refused.status, 9, `${flags}: ${refused.stdout}${refused.stderr}`);
          assert.match(
            refused.stdout + refused.stderr,
            /a PostgreSQL server \(process \d+\) is running in /,
          );
        }
        assert.equal((await rig.restored.query("select 1 as n"))[0]!["n"], 1);
      } finally {
        await rig.stop(destination);
      }
    });

    if (Deno.uid() === 0) {
      await t.step("as root, the server runs as the owner of its folder", async () => {
        const destination = await rig.emptyFolder();
        const line = `restore --latest --destination ${destination} --start --output json`;
        const { server } = JSON.parse(await rig.ok(line, { root: true }));
        assert.equal(server.state, "promoted");
        assert.equal((await Deno.stat(`/proc/${server.pid}`)).uid, serverUser()!.uid);
        await rig.stop(destination);
      });
    }

    await t.step("--plan names the backup, the branch and the WAL, and moves nothing", async () => {
      const destination = `${rig.program.folder}/planned`;
      const line = `restore --to ${rig.at(104).time} --destination ${destination} --plan`;
      const { recovery, backup } = JSON.parse(await rig.ok(`${line} --output json`));
      assert.equal(backup.id, second);
      assert.deepEqual([recovery.timeline, recovery.gaps], [3, []]);
      assert.match(recovery.notes.join(), /--timeline 2 restores it there/);
      assert.match(
        await rig.ok(line),
        /recover to +the time .*\n +timeline +3, from the backup's 2/,
      );
      await assert.rejects(Deno.stat(destination));
    });

    await t.step("a target outside of every window is refused with the windows", async () => {
      for (const flags of ["--to 2001-01-01T00:00Z", "--to 2100-01-01T00:00Z", "--to-lsn FF/0"]) {
        const refused = await rig.run(`restore ${flags} --destination /nonexistent/x`);
        assert.equal(refused.status, 7, refused.stderr);
        assert.match(refused.stderr, /hint: can be restored: timeline 1 from 2.*; timeline 2 /);
      }
    });

    await t.step("status and wal verify know three timelines without a gap", async () => {
      const { windows, gaps, wal } = JSON.parse(await rig.ok("status --output json"));
      assert.deepEqual(
        windows.map((window: Record<string, unknown>) => [window.timeline, window.open]),
        [[1, false], [2, false], [3, true]],
      );
      assert.deepEqual(gaps, []);
      assert.match(wal.last_archived, /^00000003/);
      assert.match(await rig.ok("wal verify"), /nothing is damaged or missing/);
      const walStatus = await rig.ok("wal status");
      assert.match(walStatus, /^ +2 +1 at \d\/[0-9A-F]+ /m);
      assert.match(walStatus, /^the server: the last archived is 00000001.*; nothing waits$/m);
      const { archiver } = JSON.parse(await rig.ok("wal status --output json"));
      assert.deepEqual([archiver.by_backupctl, archiver.backlog_files], [true, 0]);
    });

    await t.step("a branch that goes on after the latest one was given up is told of", async () => {
      await rig.steps(cluster, rig.at(10).rows, [11]);
      await archiveAll(cluster);
      const line = `restore --latest --destination ${rig.program.folder}/planned --plan`;
      assert.match(
        await rig.ok(line),
        /\n +timeline +3, from the backup's 2\n(.*\n)* +note +timeline 1 goes on until 2.*\n? +later than timeline 3/,
      );
      const { recovery } = JSON.parse(await rig.ok(`${line} --output json`));
      assert.match(recovery.notes.join(), /--timeline 1 follows it/);
      const followed = JSON.parse(await rig.ok(`${line} --timeline 1 --output json`)).recovery;
      assert.deepEqual([followed.timeline, followed.notes], [1, []]);
      const { windows, wal } = JSON.parse(await rig.ok("status --output json"));
      assert.deepEqual(
        windows.map((window: Record<string, unknown>) => [window.timeline, window.open]),
        [[1, true], [2, false], [3, false]],
      );
      assert.match(wal.last_archived, /^00000001/);
    });

    await t.step("a gap is refused by restore, shown by status, found by wal verify", async () => {
      const { recovery } = JSON.parse(
        await rig.ok(`restore --latest --timeline 1 --destination /tmp/x --plan --output json`)
          .catch(async () =>
            (await rig.run(
              "restore --latest --timeline 1 --destination /tmp/x --plan --output json",
            ))
              .stdout
          ),
      );
      const lost = recovery.to_wal.replace(
        /.$/,
        (digit: string) => (Number.parseInt(digit, 16) - 1).toString(16).toUpperCase(),
      );
      await removeFile(`${rig.program.folder}/repository`, `${lost}.zst`);
      const line = `restore --latest --timeline 1 --destination ${rig.program.folder}/gap`;
      const refused = await rig.run(line);
      assert.equal(refused.status, 7, refused.stderr);
      assert.match(
        refused.stderr,
        new RegExp(`WAL segment ${lost} is missing between backup ${first}`),
      );
      assert.match(await rig.ok("status"), new RegExp(`^missing: WAL ${lost}$`, "m"));
      const unknown = await rig.run("wal status --timeline 99");
      assert.equal(unknown.status, 7, unknown.stderr);
      assert.match(unknown.stderr, /^error: nothing of timeline 99 is archived$/m);
      assert.equal((await rig.run("wal verify")).status, 8);
      assert.equal((await rig.run("wal verify --timeline 3")).status, 0);
    });

    await t.step(
      "a branch whose segments are lost is not taken for the one that it left",
      async () => {
        const log = `${rig.program.folder}/repository`;
        for (const name of await storedFiles(log, /^00000003.*\.zst$/)) await removeFile(log, name);
        const refused = await rig.run(`restore --latest --destination ${rig.program.folder}/lost`);
        assert.equal(refused.status, 7, refused.stderr);
        assert.match(refused.stderr, /would go on with timeline 2 in its place, past 0\//);
        const instead = /--timeline 2 --to-lsn \S+ --exclusive/.exec(refused.stderr)![0];
        assert.deepEqual(await rig.restoredRows(instead), rig.at(103).rows, instead);
      },
    );
  });
}

async function storedFiles(folder: string, pattern: RegExp): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  const found = await Promise.all(
    entries.map(({ name, isDirectory }) =>
      isDirectory ? storedFiles(`${folder}/${name}`, pattern) : pattern.test(name) ? [name] : []
    ),
  );
  return found.flat();
}

async function removeFile(folder: string, name: string): Promise<void> {
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) await removeFile(path, name);
    else if (entry.name === name) await Deno.remove(path);
  }
}
