/** A real server archives, by each of the two commands, and everything arrives bit for bit. */
import assert from "node:assert/strict";
import { parseWalName } from "../../src/domain/wal.ts";
import { walKey } from "../../src/domain/wal_key.ts";
import { digestOf } from "../../src/engine/wal/wal_object.ts";
import { decodedWal } from "../support/decoded_wal.ts";
import { DirectoryStore } from "../../src/storage/directory.ts";
import type { ObjectStore } from "../../src/storage/storage.ts";
import { bytesOf } from "../support/bodies.ts";
import { InstalledProgram } from "../support/installed_program.ts";
import { storeOn } from "../support/light_stores.ts";
import { type Cluster, giveToServer, startCluster } from "../support/postgres_cluster.ts";
import { S3Server } from "../support/s3_server/s3_server.ts";

/** A server that keeps a copy of everything that it hands to the archive command. */
class Archiving implements AsyncDisposable {
  readonly program: InstalledProgram;
  readonly cluster: Cluster;
  readonly store: ObjectStore;

  private constructor(parts: {
    readonly program: InstalledProgram;
    readonly cluster: Cluster;
    readonly store: ObjectStore;
  }) {
    this.program = parts.program;
    this.cluster = parts.cluster;
    this.store = parts.store;
  }

  static async start(command: string, s3?: S3Server): Promise<Archiving> {
    const program = await InstalledProgram.install();
    const repository = `${program.folder}/repository`;
    const copies = `${program.folder}/copies`;
    for (const folder of [repository, copies]) await Deno.mkdir(folder);
    await giveToServer(program.folder);
    const s3Env = {
      ...{ S3_BUCKET: "bucket", AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "testkey" },
      AWS_SECRET_ACCESS_KEY: "testsecretkey123",
    };
    const cluster = await startCluster({
      walSegmentMb: 1,
      archive: `cp -f %p ${copies}/%f && ${program.path} ${command}`,
      settings: { checkpoint_timeout: "1h", max_wal_size: "512MB" },
      env: {
        ...program.env,
        HOME: program.folder,
        ...(s3
          ? { ...s3Env, AWS_ENDPOINT_URL_S3: s3.endpoint }
          : { BACKUPCTL_REPOSITORY_PATH: repository }),
      },
    });
    const store = s3 ? storeOn(s3, { prefix: "backupctl" }) : new DirectoryStore(repository);
    return new Archiving({ program, cluster, store });
  }

  get copies(): string {
    return `${this.program.folder}/copies`;
  }

  /** Writes a few segments and switches, so that the last of them is archived too. */
  async work(rows: number): Promise<string> {
    await this.cluster.query(
      "create table if not exists filler (line text);" +
        `insert into filler select repeat(md5(n::text), 60) from generate_series(1, ${rows}) n`,
    );
    const [switched] = await this.cluster.query("select pg_walfile_name(pg_switch_wal()) as name");
    return String(switched!["name"]);
  }

  /** Resolves when PostgreSQL counts `name`, and so everything before, as archived. */
  async archived(name: string): Promise<void> {
    const done = `${this.cluster.dataDir}/pg_wal/archive_status/${name}.done`;
    const deadline = Date.now() + 60_000;
    while (!await exists(done)) {
      if (Date.now() > deadline) throw new Error(`${name} is not archived:\n${this.cluster.log}`);
      await new Promise((next) => setTimeout(next, 20));
    }
  }

  /** Compares every file that PostgreSQL handed over with what the archive has; how many there are. */
  async compare(): Promise<number> {
    const control = await Deno.readFile(`${this.cluster.dataDir}/global/pg_control`);
    const systemIdentifier = new DataView(control.buffer).getBigUint64(0, true).toString();
    let files = 0;
    for await (const { name: file } of Deno.readDir(this.copies)) {
      const name = parseWalName(file)!;
      const key = walKey({ cluster: "main", systemIdentifier }, name);
      const info = await this.store.head(key);
      assert.ok(info, `${file} is archived`);
      const stored = await bytesOf(await this.store.get(key));
      const bytes = decodedWal(name, { stored, expected: digestOf(info) });
      assert.ok(Buffer.compare(bytes, await Deno.readFile(`${this.copies}/${file}`)) === 0, file);
      files += 1;
    }
    return files;
  }

  async setCommand(value: string): Promise<void> {
    await this.cluster.query(`alter system set archive_command = '${value.replaceAll("'", "''")}'`);
    await this.cluster.query("select pg_reload_conf()");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
    await this.program[Symbol.asyncDispose]();
    await this.store.close?.();
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

Deno.test("wal-push archives a real server's segments and backup history, over S3", async () => {
  await using server = S3Server.start();
  await using rig = await Archiving.start("wal-push %p", server);
  const args = ["-D", `${rig.cluster.folder}/copy`, "-c", "fast", "-X", "none"];
  await rig.cluster.run("pg_basebackup", args);
  await rig.archived(await rig.work(3_000));
  const files = await rig.compare();
  assert.ok(files >= 6, `${files} files`);
  const names = [...Deno.readDirSync(rig.copies)].map(({ name }) => name);
  assert.ok(names.some((name) => name.endsWith(".backup")), "a backup history file");
  const [{ failed_count: failed }] = await rig.cluster.query(
    "select failed_count from pg_stat_archiver",
  ) as [Record<string, unknown>];
  assert.equal(Number(failed), 0);
});

Deno.test("backup incremental archives as a command without %p: load, backlog, stops and crashes", async (t) => {
  await using rig = await Archiving.start("backup incremental --label wal-archive");
  const { cluster } = rig;
  const [{ archive_command: command }] = await cluster.query("show archive_command") as [
    Record<string, unknown>,
  ];

  await t.step("under load", async () => {
    await cluster.run("pgbench", ["-i", "-q", "-s", "1", "postgres"]);
    const load = cluster.run("pgbench", ["-c", "2", "-t", "400", "-n", "postgres"]);
    const names = [await rig.work(500), await rig.work(500)];
    await load;
    await rig.archived(names[1]!);
    assert.ok(await rig.compare() >= 4);
  });

  await t.step("a server that stops waits for its last segment, and ends", async () => {
    await rig.work(300);
    await cluster.stop("fast");
    assert.equal((await waiting(cluster)).length, 0, "nothing waits");
    await cluster.start();
  });

  await t.step("after kill -9 of the server", async () => {
    await rig.work(300);
    await cluster.stop("crash");
    await cluster.start();
    await rig.archived(await rig.work(300));
  });

  await t.step("a long backlog", async () => {
    await rig.setCommand("false");
    let last = "";
    for (let round = 0; round < 5; round++) last = await rig.work(2_000);
    assert.ok((await waiting(cluster)).length >= 20);
    await rig.setCommand(String(command));
    await rig.archived(last);
    assert.ok(await rig.compare() >= 25);
  });
});

async function waiting(cluster: Cluster): Promise<readonly string[]> {
  const entries = await Array.fromAsync(Deno.readDir(`${cluster.dataDir}/pg_wal/archive_status`));
  return entries.map(({ name }) => name).filter((name) => name.endsWith(".ready"));
}
