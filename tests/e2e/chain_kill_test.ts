/**
 * SIGKILL at random moments of a restore of a chain: what it leaves does not start, and `--delta`
 * completes it. `BACKUPCTL_FAULTS=full` runs 100 of them.
 */
import assert from "node:assert/strict";
import { MARKER_FILE } from "../../src/engine/physical/delta/restore_marker.ts";
import { fileTree } from "../support/file_tree.ts";
import { beginHistory, HISTORY_DATABASE } from "../support/histories.ts";
import { incrementalMajors, IncrementWorld, SUMMARIES } from "../support/increment_world.ts";
import { type Cluster, startCluster } from "../support/postgres_cluster.ts";
import { type CliResult, runCli, spawnCli } from "../support/run_cli.ts";
import { seededRandom } from "../support/s3_server/faults.ts";
import { sendSignal } from "../support/send_signal.ts";
import { FULL_FAULTS } from "../support/wal_rig.ts";

const KILLS = FULL_FAULTS ? 100 : 3;
const SEED = 20261123;

async function takeChain(cluster: Cluster, world: IncrementWorld): Promise<string> {
  await beginHistory(cluster);
  await cluster.query(
    "insert into alpha (n, body) select i, md5(i::text) from generate_series(1, 200000) i",
    { database: HISTORY_DATABASE },
  );
  let id = (await world.full()).id;
  for (const link of [1, 2, 3]) {
    await cluster.query(`update alpha set n = n + 1 where id % ${link * 7} = 0`, {
      database: HISTORY_DATABASE,
    });
    id = (await world.increment()).manifest.id;
  }
  return id;
}

/** The tree that an undisturbed restore makes, and how long that takes. */
async function undisturbed(
  restore: (to: string, ...more: string[]) => Promise<CliResult>,
  to: string,
) {
  const began = performance.now();
  const { status, stderr } = await restore(to);
  assert.equal(status, 0, stderr);
  return { tree: await fileTree(to), milliseconds: performance.now() - began };
}

for (const { major, binDir } of incrementalMajors()) {
  Deno.test(`a restore of a chain of PostgreSQL ${major} that was killed is completed by --delta (${KILLS} kills, seed ${SEED})`, async () => {
    await using cluster = await startCluster({ binDir, settings: SUMMARIES });
    await using world = await IncrementWorld.open(cluster);
    const id = await takeChain(cluster, world);
    const env = {
      BACKUPCTL_REPOSITORY_PATH: `${world.folder}/repository`,
      BACKUPCTL_METADATA_URL: "off",
      HOME: world.folder,
    };
    const words = (to: string) => ["restore", "--backup-id", id, "--destination", to];
    const restore = (to: string, ...more: string[]) => runCli([...words(to), ...more], { env });
    const whole = await undisturbed(restore, `${world.folder}/whole`);
    const random = seededRandom(SEED);
    const outcomes = { early: 0, midway: 0, late: 0 };
    for (let kill = 1; kill <= KILLS; kill++) {
      const to = `${world.folder}/killed`;
      // One in three of those that go on is killed as well.
      for (const more of random() < 0.33 ? [[], ["--delta"]] : [[]]) {
        const child = spawnCli([...words(to), ...more], { env });
        const kill = () => sendSignal(child, "SIGKILL");
        const timer = setTimeout(kill, random() * whole.milliseconds);
        await child.output();
        clearTimeout(timer);
      }
      const left = await fileTree(to).catch(() => new Map<string, string>());
      if (left.size === 0) outcomes.early += 1;
      else if (left.has(MARKER_FILE)) outcomes.midway += 1;
      else outcomes.late += 1;
      // Without the marker it is complete, or has not begun.
      if (left.has("global/pg_control") && !left.has(MARKER_FILE)) {
        assert.deepEqual(left, whole.tree, `kill ${kill}`);
      }
      const { status, stderr } = await restore(to, "--delta");
      assert.equal(status, 0, `kill ${kill}: ${stderr}`);
      assert.deepEqual(await fileTree(to), whole.tree, `kill ${kill}`);
      await Deno.remove(to, { recursive: true });
    }
    console.log(`kills: ${JSON.stringify(outcomes)}`);
    const started = await cluster.startFrom(`${world.folder}/whole`);
    await started.query("select count(*) from alpha", { database: HISTORY_DATABASE });
  });
}
