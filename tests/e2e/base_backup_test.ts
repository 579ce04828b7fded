/** Base backups of real servers, of every major that is there. */
import assert from "node:assert/strict";
import { PostgresError } from "../../src/domain/errors.ts";
import type { BaseBackup, BaseBackupOptions } from "../../src/postgres/postgres.ts";
import { StreamSource } from "../../src/postgres/replication/stream_base_backup.ts";
import {
  type Cluster,
  clusterMajors,
  giveToServer,
  makeServerFolder,
  startCluster,
} from "../support/postgres_cluster.ts";
import { unpackBaseBackup } from "../support/unpack_base_backup.ts";

const OPTIONS: BaseBackupOptions = { label: "nightly", fastCheckpoint: true, includeWal: true };

/** Reads a backup to its end and drops it. */
async function drain(backup: BaseBackup): Promise<number> {
  let bytes = 0;
  for await (const event of backup.events()) if (event.type === "data") bytes += event.bytes.length;
  return bytes;
}

const ROWS = "select count(*)::int as rows, sum(hashtext(t::text))::text as hash from t";

for (const { major, binDir } of clusterMajors()) {
  Deno.test(`a base backup of ${major} with two tablespaces restores to what was there`, async () => {
    await using cluster = await startCluster({ binDir, tablespaces: ["one", "two"] });
    await cluster.query(`create table t tablespace one as
      select i, repeat(md5(i::text), 20) as v from generate_series(1, 5000) i;
      create index on t(v) tablespace two; create table e() tablespace two`);
    const expected = await cluster.query(ROWS);
    const folder = await makeServerFolder();
    try {
      await using backup = await new StreamSource(cluster.connection()).start(OPTIONS);
      const { dataDir, tarBytes } = await unpackBaseBackup(backup, folder);
      assert.ok(backup.stop().stopLsn > backup.startLsn);
      assert.equal(backup.stop().timeline, 1);
      assert.ok(Math.abs(tarBytes - backup.estimatedBytes! - 16 * 2 ** 20) < 4 * 2 ** 20);
      await giveToServer(folder);
      await cluster.run("pg_verifybackup", ["-n", dataDir]);
      assert.match(await Deno.readTextFile(`${dataDir}/backup_label`), /LABEL: nightly/);
      const restored = await cluster.startFrom(dataDir);
      assert.deepEqual(await restored.query(ROWS), expected);
      const [{ places } = {}] = await restored.query(
        `select string_agg(pg_tablespace_location(oid), ' ' order by oid) as places
           from pg_tablespace where spcname in ('one', 'two')`,
      );
      const oids = backup.tablespaces.map(({ oid }) => `${folder}/tablespace_${oid}`);
      assert.equal(places, oids.join(" "));
      await restored.stop();
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

  Deno.test(`a base backup of ${major} reports what is wrong, and never ends early`, async (test) => {
    await using cluster = await startCluster({ binDir });
    await cluster.query(
      "create table t as select repeat('x', 900) as v from generate_series(1, 40000)",
    );
    const source = new StreamSource(cluster.connection());
    /** 32 MB at 8 MB a second: there is time to break things. */
    const slow = { ...OPTIONS, includeWal: false, maxRateKb: 8192 };

    await test.step("the walsender is ended by an administrator", async () => {
      await using backup = await source.start(slow);
      await breakInTheMiddle(backup, /57P01|cut/, async () => {
        await cluster.query("select pg_terminate_backend(pid) from pg_stat_replication");
      });
    });

    await test.step("its own signal", async () => {
      const controller = new AbortController();
      await using backup = await source.start({ ...slow, signal: controller.signal });
      await assert.rejects(async () => {
        for await (const event of backup.events()) {
          if (event.type === "data") controller.abort(new Error("enough"));
        }
      }, /^Error: enough$/);
    });

    await test.step("given up by dispose: the server's side ends too", async () => {
      const backup = await source.start(slow);
      for await (const event of backup.events()) if (event.type === "data") break;
      await backup[Symbol.asyncDispose]();
      await until(async () => (await walSenders(cluster)) === 0);
    });

    await test.step("a signal while it waits for a spread checkpoint", async () => {
      await cluster.query("create table dirty as select g from generate_series(1, 300000) g");
      const controller = new AbortController();
      const started = source.start({ ...slow, fastCheckpoint: false, signal: controller.signal });
      await until(async () => (await walSenders(cluster)) === 1);
      controller.abort(new Error("enough"));
      await assert.rejects(started, /^Error: enough$/);
    });

    await test.step("a page with a wrong checksum, named", async () => {
      const [{ path } = {}] = await cluster.query("select pg_relation_filepath('t') as path");
      await cluster.stop("fast");
      await flip(`${cluster.dataDir}/${path}`, 3 * 8192 + 4000);
      await cluster.start();
      await using backup = await new StreamSource(cluster.connection()).start(OPTIONS);
      await drain(backup);
      assert.deepEqual(backup.stop().damage, { count: 1, pages: [{ path, block: 3 }] });
    });

    await test.step("the server crashes", async () => {
      await using backup = await new StreamSource(cluster.connection()).start(slow);
      await breakInTheMiddle(backup, /57P0|cut/, () => cluster.stop("immediate"));
    });
  });

  Deno.test(`a base backup of ${major} keeps the WAL that it needs, and no slot afterwards`, async () => {
    await using cluster = await startCluster({
      binDir,
      walSegmentMb: 1,
      settings: { max_wal_size: "2MB" },
    });
    await cluster.query(
      "create table t as select repeat('x', 900) as v from generate_series(1, 9000)",
    );
    await using backup = await new StreamSource(cluster.connection())
      .start({ ...OPTIONS, maxRateKb: 32768 });
    const slots = "select slot_name::text as name, temporary from pg_replication_slots";
    const [slot] = await cluster.query(slots);
    assert.match(String(slot?.name), /^backupctl_[0-9a-f]{32}$/);
    assert.equal(slot?.temporary, true);
    let pushed = false;
    for await (const event of backup.events()) {
      if (pushed || event.type !== "data") continue;
      pushed = true;
      await cluster.query("insert into t select repeat('y', 900) from generate_series(1, 9000)");
      await cluster.query("select pg_switch_wal()");
      await cluster.query("checkpoint");
      await cluster.query("checkpoint");
    }
    await backup[Symbol.asyncDispose]();
    await until(async () => (await cluster.query(slots)).length === 0);
  });
}

async function walSenders(cluster: Cluster): Promise<number> {
  const [row] = await cluster.query("select count(*)::int as n from pg_stat_replication");
  return Number(row?.n);
}

/** Reads until data comes, does harm, and expects the failure. */
async function breakInTheMiddle(
  backup: BaseBackup,
  message: RegExp,
  harm: () => Promise<void>,
): Promise<void> {
  let done = false;
  const reading = async () => {
    for await (const event of backup.events()) {
      if (done || event.type !== "data") continue;
      done = true;
      await harm();
    }
  };
  await assert.rejects(reading(), (error) => {
    assert.ok(error instanceof PostgresError, String(error));
    assert.match(error.message, message);
    return true;
  });
  assert.throws(() => backup.stop());
}

async function flip(path: string, offset: number): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  await file.seek(offset, Deno.SeekMode.Start);
  await file.write(new Uint8Array([0x5a, 0xa5, 0x5a]));
}

/** What happens in another process is asked for again and again. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!await condition()) {
    if (Date.now() > end) throw new Error(`never came: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
