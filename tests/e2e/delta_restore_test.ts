import assert from "node:assert/strict";
import { DestinationError } from "../../src/domain/errors.ts";
import { MARKER_FILE } from "../../src/engine/physical/delta/restore_marker.ts";
import { fileTree } from "../support/file_tree.ts";
import { beginHistory, clusterState, HISTORY_DATABASE } from "../support/histories.ts";
import { IncrementWorld } from "../support/increment_world.ts";
import { type Cluster, clusterMajors, startCluster } from "../support/postgres_cluster.ts";

/** The tree without what a start of the server or the restore itself writes. */
async function treeOf(folder: string): Promise<Map<string, string>> {
  const tree = await fileTree(folder);
  tree.delete("postgresql.auto.conf");
  return tree;
}

/** A server that ran on a restored copy has changed it. */
async function liveOn(cluster: Cluster, destination: string): Promise<void> {
  const copy = await cluster.startFrom(destination);
  const database = HISTORY_DATABASE;
  await copy.query("update alpha set n = 99", { database });
  await copy.query("create table stray as select generate_series(1, 9000) i", { database });
  await copy.query("drop table beta", { database });
  await copy.query("create database another");
  await copy.query("checkpoint");
  await copy.stop("fast");
}

for (const { major, binDir } of clusterMajors()) {
  Deno.test(`restore --delta brings a stopped data directory of PostgreSQL ${major} back to the backup`, async () => {
    await using cluster = await startCluster({ binDir, tablespaces: ["aside"] });
    await beginHistory(cluster);
    await cluster.query("alter table gamma set tablespace aside", { database: HISTORY_DATABASE });
    await using world = await IncrementWorld.open(cluster);
    const state = await clusterState(cluster);
    const backup = await world.full();
    const { destination } = await world.restore(backup);
    const fresh = await treeOf(destination);
    assert.ok(!fresh.has(MARKER_FILE));
    await liveOn(cluster, destination);
    await Deno.writeTextFile(`${destination}/base/notes.txt`, "nobody knows this file");
    await Deno.mkdir(`${destination}/base/empty`);
    await Deno.symlink("/etc/passwd", `${destination}/base/link`);
    const report = await world.restore(backup, {
      ...{ destination, delta: true, tablespaceMap: mapOf(destination, backup.tablespaces) },
    });
    assert.ok(report.kept && report.kept.files > 500, `${report.kept?.files} files stayed`);
    assert.ok(report.files < 400, `${report.files} files were written`);
    assert.deepEqual(await treeOf(destination), fresh);
    await world.run("pg_verifybackup", ["-n", destination]);
    const again = await cluster.startFrom(destination);
    assert.deepEqual(await clusterState(again), state);
  });
}

Deno.test("restore --delta refuses a running server, another system and a folder of somebody's", async (t) => {
  await using cluster = await startCluster();
  await using world = await IncrementWorld.open(cluster);
  const backup = await world.full();
  const refusedIn = async (destination: string, message: RegExp, force = false) => {
    const before = await fileTree(destination);
    await assert.rejects(
      world.restore(backup, { destination, delta: true, force }),
      (error) => error instanceof DestinationError && message.test(error.message),
    );
    assert.deepEqual(await fileTree(destination), before);
  };
  await t.step("a running server, also with --force", async () => {
    const copy = (await world.restore(backup)).destination;
    const server = await cluster.startFrom(copy);
    for (const force of [false, true]) {
      await assert.rejects(
        world.restore(backup, { destination: copy, delta: true, force }),
        /a PostgreSQL server \(process \d+\) is running/,
      );
    }
    await server.query("select 1");
    await server.stop("fast");
    await world.restore(backup, { destination: copy, delta: true });
  });
  await t.step("another system, unless --force", async () => {
    await using other = await startCluster();
    await other.stop("fast");
    await refusedIn(other.dataDir, /belongs to system \d+, and backup .* --force overwrites it/);
    await world.restore(backup, { destination: other.dataDir, delta: true, force: true });
    const taken = await cluster.startFrom(other.dataDir);
    await taken.query("select 1");
    await taken.stop();
  });
  await t.step("a folder that is no data directory, also with --force", async () => {
    const folder = `${world.folder}/photos`;
    await Deno.mkdir(folder);
    await Deno.writeTextFile(`${folder}/wedding.jpg`, "irreplaceable");
    await refusedIn(folder, /neither a data directory nor an unfinished restore/);
    await refusedIn(folder, /neither a data directory nor an unfinished restore/, true);
  });
  await t.step("without --delta, a folder that holds anything", async () => {
    const folder = `${world.folder}/photos`;
    await assert.rejects(world.restore(backup, { destination: folder }), /is not empty/);
  });
});

Deno.test("restore --delta keeps out of a folder where another restore is at work", async () => {
  await using cluster = await startCluster();
  await using world = await IncrementWorld.open(cluster);
  const backup = await world.full();
  const { destination } = await world.restore(backup);
  const marker = `${destination}/backupctl.restoring`;
  const { systemIdentifier, id } = backup;
  await Deno.writeTextFile(
    marker,
    JSON.stringify({ systemIdentifier, backup: id, tablespaces: [] }),
  );
  const before = await fileTree(destination);
  {
    using other = await Deno.open(marker, { read: true, write: true });
    await other.lock(true);
    await assert.rejects(
      world.restore(backup, { destination, delta: true }),
      /another restore is at work/,
    );
    assert.deepEqual(await fileTree(destination), before);
  }
  await world.restore(backup, { destination, delta: true });
  await assert.rejects(Deno.stat(marker), Deno.errors.NotFound);
});

Deno.test("restore --delta refuses the tablespace of another data directory", async () => {
  await using cluster = await startCluster({ tablespaces: ["aside"] });
  await using world = await IncrementWorld.open(cluster);
  const backup = await world.full();
  const { destination } = await world.restore(backup);
  const [{ location } = { location: "" }] = backup.tablespaces;
  await Deno.writeTextFile(`${world.folder}/x`, "");
  const error = await world.restore(backup, {
    ...{ destination, delta: true, tablespaceMap: new Map([[location, world.folder]]) },
  }).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof DestinationError);
  assert.match(error.message, /does not use it/);
  await Deno.stat(`${destination}/global/pg_control`);
});

function mapOf(
  destination: string,
  tablespaces: readonly { readonly oid: number; readonly location: string }[],
): ReadonlyMap<string, string> {
  return new Map(tablespaces.map(({ oid, location }) => [location, `${destination}-${oid}`]));
}
