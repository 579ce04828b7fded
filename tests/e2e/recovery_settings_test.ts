/** What PostgreSQL makes of the settings that a restored copy is given, on every version at hand. */
import assert from "node:assert/strict";
import { PostgresError } from "../../src/domain/errors.ts";
import type { RecoveryTexts } from "../../src/engine/recovery/recovery_target.ts";
import { type Cluster, clusterMajors, startCluster } from "../support/postgres_cluster.ts";
import {
  archiveNow,
  createSteps,
  type Moment,
  RestorableBackup,
  type RestoredCopy,
  step,
} from "../support/recoveries.ts";

/** What the old server was told, and must not reach the restored one. */
const STRAY_SETTINGS = {
  recovery_target_name: "elsewhere",
  recovery_min_apply_delay: "1h",
  primary_conninfo: "host=nowhere.invalid",
  restore_command: "false",
};

interface Source {
  readonly cluster: Cluster;
  readonly backup: RestorableBackup;
  readonly moments: readonly Moment[];
}

async function makeSource(cluster: Cluster): Promise<Source> {
  await cluster.query("alter system set recovery_target_xid = '5'");
  await cluster.query("alter system set recovery_end_command = 'false'");
  await createSteps(cluster);
  const backup = await RestorableBackup.take(cluster);
  const moments: Moment[] = [];
  for (let row = 1; row <= 6; row++) {
    moments.push(await step(cluster, row));
    if (row === 4) await cluster.query("select pg_create_restore_point('here')");
  }
  await archiveNow(cluster);
  return { cluster, backup, moments };
}

/** Restores, configures and starts; the restored copy is stopped and removed afterwards. */
async function recover(
  { cluster, backup }: Source,
  texts: RecoveryTexts,
  { restoreCommand = `cp ${cluster.archiveDir}/%f %p`, settings = {} }: {
    readonly restoreCommand?: string;
    readonly settings?: Readonly<Record<string, string>>;
  } = {},
) {
  const copy = await backup.restore();
  await Deno.writeTextFile(`${copy.dataDirectory}/recovery.conf`, "standby_mode = on\n");
  await Deno.writeTextFile(`${copy.dataDirectory}/standby.signal`, "");
  // As Debian's packages have it: obeyed, it would start the original.
  const original = `data_directory = '${cluster.dataDir}'\n`;
  await Deno.writeTextFile(`${copy.dataDirectory}/postgresql.conf`, original, { append: true });
  await copy.configure(texts, { restoreCommand });
  return { copy, server: await copy.start(texts, { settings }) };
}

async function assertArrived(copy: RestoredCopy, row: number, writable: boolean): Promise<void> {
  assert.equal(await copy.lastRow(), row);
  const [facts] = await copy.query(
    "select pg_is_in_recovery() as recovering, current_setting('archive_mode') as archiving",
  );
  assert.deepEqual(facts, { recovering: !writable, archiving: "off" });
}

for (const { major, binDir } of clusterMajors()) {
  Deno.test(`PostgreSQL ${major} recovers to each kind of target, and nothing old interferes`, async (t) => {
    await using cluster = await startCluster({
      ...{ binDir, walSegmentMb: 1, archive: true, settings: STRAY_SETTINGS },
    });
    const source = await makeSource(cluster);
    await using _backup = source.backup;
    const { moments } = source;
    const promoted: readonly (readonly [RecoveryTexts, number])[] = [
      [{ to: moments[2]!.time }, 3],
      [{ toLsn: moments[1]!.lsn }, 2],
      [{ toXid: moments[4]!.xid }, 5],
      [{ toXid: moments[4]!.xid, exclusive: true }, 4],
      [{ toName: "here" }, 4],
      [{ immediate: true }, 0],
      [{ latest: true }, 6],
    ];
    for (const [texts, row] of promoted) {
      await t.step(`${JSON.stringify(texts)} ends with row ${row}`, async () => {
        const { copy, server } = await recover(source, texts);
        await using _copy = copy;
        assert.equal(server.state, "promoted");
        await assertArrived(copy, row, true);
      });
    }
    await t.step("pause stands still at the target, and resumes", async () => {
      const { copy, server } = await recover(source, { to: moments[2]!.time, action: "pause" });
      await using _copy = copy;
      assert.equal(server.state, "paused");
      assert.match(server.next!, /SELECT pg_wal_replay_resume\(\)/);
      await assertArrived(copy, 3, false);
    });
    await t.step("shutdown ends at the target", async () => {
      const { copy, server } = await recover(source, { toName: "here", action: "shutdown" });
      await using _copy = copy;
      assert.deepEqual([server.state, server.pid], ["shutdown", undefined]);
    });
    await t.step("standby replays everything and stays in recovery", async () => {
      const { copy, server } = await recover(source, { standby: true });
      await using _copy = copy;
      assert.equal(server.state, "standby");
      await copy.query("select pg_promote()"); // which replays to the end of the archive first
      await assertArrived(copy, 6, true);
    });
    await t.step("a target behind everything ends in FATAL, with what to do", async () => {
      await assert.rejects(recover(source, { to: "2100-01-01T00:00:00Z" }), (error) => {
        assert.ok(error instanceof PostgresError, String(error));
        assert.match(error.message, /recovery ended before configured recovery target was reached/);
        assert.match(error.message, /last transaction replayed: \d{4}-/);
        assert.match(error.hint!, /--latest restores all that there is/);
        return true;
      });
    });
    await t.step("an archive that cannot be asked ends in FATAL, with nothing opened", async () => {
      const restoreCommand = "exit 255";
      const settings = { logging_collector: "on" };
      const recovery = recover(source, { latest: true }, { restoreCommand, settings });
      await assert.rejects(recovery, (error) => {
        assert.ok(error instanceof PostgresError, String(error));
        assert.match(error.message, /could not restore file/);
        assert.match(error.hint!, /stopped rather than open with data missing/);
        return true;
      });
    });
  });
}

Deno.test("a copy whose settings are too small for its log says so, and does not wait for ever", async () => {
  await using cluster = await startCluster({
    ...{ walSegmentMb: 1, archive: true, settings: { max_connections: 20 } },
  });
  await createSteps(cluster);
  await using backup = await RestorableBackup.take(cluster);
  await step(cluster, 1);
  await cluster.query("alter system set max_connections = 40");
  await cluster.stop("fast");
  await cluster.start();
  await step(cluster, 2);
  await archiveNow(cluster);
  await assert.rejects(recover({ cluster, backup, moments: [] }, { latest: true }), (error) => {
    assert.ok(error instanceof PostgresError, String(error));
    assert.match(error.message, /max_connections = 20 is a lower setting|insufficient parameter/);
    assert.match(error.hint!, /raise those that the log names/);
    return true;
  });
});
