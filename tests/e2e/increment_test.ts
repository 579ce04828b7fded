/**
 * Increments of real servers: `BACKUPCTL_TEST_PG_BINS` has to name one of 17 or later.
 * `BACKUPCTL_FAULTS=full` runs 30 histories with chains of up to ten increments.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { BackupManifest } from "../../src/catalog/catalog.ts";
import { fileTree } from "../support/file_tree.ts";
import {
  beginHistory,
  checkStructure,
  clusterState,
  happen,
  type Happening,
  historyOf,
} from "../support/histories.ts";
import { incrementalMajors, IncrementWorld, SUMMARIES } from "../support/increment_world.ts";
import { type Cluster, giveToServer, startCluster } from "../support/postgres_cluster.ts";
import { FULL_FAULTS } from "../support/wal_rig.ts";

const HISTORIES = FULL_FAULTS ? 30 : 1;
const SEED = 20_261_123;
const LINKS = FULL_FAULTS ? 10 : 3;

const settings = { ...SUMMARIES, shared_buffers: "64MB", autovacuum: "off" };

/** A link of a chain and what the source held when it was taken. */
interface Link {
  readonly manifest: BackupManifest;
  readonly state: readonly string[];
}

/** Lives through a history and backs it up link by link. */
async function liveThrough(
  cluster: Cluster,
  world: IncrementWorld,
  history: readonly (readonly Happening[])[],
): Promise<readonly Link[]> {
  await beginHistory(cluster);
  const links: Link[] = [{ manifest: await world.full(), state: await clusterState(cluster) }];
  for (const step of history) {
    for (const happening of step) await happen(cluster, happening);
    const state = await clusterState(cluster);
    const { manifest, because } = await world.increment();
    assert.equal(because, undefined);
    assert.equal(manifest.parentId, links.at(-1)!.manifest.id);
    links.push({ manifest, state });
  }
  return links;
}

/** What pg_combinebackup makes of the same chain, file by file. */
async function compareWithPostgres(
  world: IncrementWorld,
  chain: readonly BackupManifest[],
  destination: string,
): Promise<void> {
  const folders = await world.unpackPlain(chain);
  const combined = `${world.folder}/combined-${chain.length}`;
  try {
    await giveToServer(world.folder);
    await world.run("pg_combinebackup", [...folders, "-o", combined, "--no-sync"]);
    const [ours, theirs] = [await dataFiles(destination), await dataFiles(combined)];
    assert.deepEqual([...ours.keys()], [...theirs.keys()]);
    const differing = [...ours].filter(([path, hash]) => theirs.get(path) !== hash);
    assert.deepEqual(differing.map(([path]) => path), []);
  } finally {
    for (const folder of [...folders, combined]) await Deno.remove(folder, { recursive: true });
  }
}

/** Length and hash by path; not what a restore or the tool writes in its own way. */
async function dataFiles(folder: string): Promise<Map<string, string>> {
  const own = ["backup_manifest", "postgresql.auto.conf"];
  const tree = await fileTree(folder);
  const files = new Map<string, string>();
  for (const [path, what] of tree) {
    if (own.includes(path) || path.startsWith("pg_tblspc/")) continue;
    files.set(path, what.replace(/ 0?[0-7]{3,4} /, " ").replace(/^folder .*/, "folder"));
  }
  return files;
}

for (const { major, binDir } of incrementalMajors()) {
  Deno.test(`PostgreSQL ${major}: every link of a chain restores what the source was at that moment`, async () => {
    await using cluster = await startCluster({ binDir, settings, tablespaces: ["aside"] });
    await fc.assert(
      fc.asyncProperty(historyOf(LINKS), async (history) => {
        await using world = await IncrementWorld.open(cluster);
        const links = await liveThrough(cluster, world, history);
        for (const [index, { manifest, state }] of links.entries()) {
          const { destination } = await world.restore(manifest);
          await world.run("pg_verifybackup", ["-n", destination]);
          if (index > 0 && index === links.length - 1) {
            const chain = links.map((link) => link.manifest);
            await compareWithPostgres(world, chain, destination);
          }
          const restored = await cluster.startFrom(destination);
          assert.deepEqual(await clusterState(restored), state);
          await checkStructure(restored);
          await restored.stop();
          await Deno.remove(destination, { recursive: true });
        }
      }),
      {
        seed: SEED,
        numRuns: HISTORIES,
        endOnFailure: true,
        // Some of everything, whatever the seed: it is the only one in the usual run.
        examples: FULL_FAULTS ? [] : [[USUAL]],
      },
    );
  });
}

/** Three increments with most of what may happen. */
const USUAL: readonly (readonly Happening[])[] = [
  [
    { sql: "update alpha set n = n + 1 where id % 7 = 0" },
    { sql: "delete from beta where id > (select max(id) / 2 from beta); vacuum beta" },
    { sql: "create database copied template history strategy file_copy" },
    { sql: "create index gamma_n on gamma (n, body)" },
  ],
  [
    { sql: "insert into beta (n, body) select i, md5(i::text) from generate_series(1, 9000) i" },
    { sql: "truncate gamma" },
    { sql: "drop table alpha; create table alpha (id bigserial primary key, n int, body text)" },
    { sql: "alter table beta set tablespace aside" },
    { sql: "drop database copied" },
  ],
  [
    { sql: "insert into gamma (n, body) select i, md5(i::text) from generate_series(1, 300) i" },
    { sql: "vacuum full beta" },
    { sql: "update beta set n = 0 where id % 3 = 0" },
    { sql: "vacuum (freeze) beta" },
    { sql: "create unlogged table lost as table beta" },
  ],
];

/** Of pages with one row each: 1 GiB is 131,072 of them. */
const WIDE = "create table wide (id int, body char(7000)); " +
  "alter table wide alter body set storage plain";

async function addWide(cluster: Cluster, from: number, to: number): Promise<void> {
  await cluster.query(`insert into wide select i, 'x' from generate_series(${from}, ${to}) i`);
}

async function wideState(cluster: Cluster) {
  const [row] = await cluster.query(
    "select count(*)::int as rows, sum(id)::text as sum, " +
      "(select count(*)::int from pg_ls_dir('base/' || (select oid from pg_database " +
      "where datname = 'postgres')) f where f ~ ('^' || pg_relation_filenode('wide') || '(\\.|$)')) " +
      "as files from wide",
  );
  return row;
}

if (FULL_FAULTS) {
  for (const { major, binDir } of incrementalMajors()) {
    Deno.test(`PostgreSQL ${major}: increments of a relation that grows across 1 GB and shrinks again`, async () => {
      await using cluster = await startCluster({
        binDir,
        settings: { ...settings, max_wal_size: "4GB" },
      });
      await using world = await IncrementWorld.open(cluster);
      for (const statement of WIDE.split("; ")) await cluster.query(statement);
      await addWide(cluster, 1, 131_000);
      const links = [{ manifest: await world.full(), state: await wideState(cluster) }];
      const steps = [
        () => addWide(cluster, 131_001, 133_000),
        () => cluster.query("update wide set id = -id where id % 5000 = 0"),
        async () => {
          await cluster.query("delete from wide where id > 130000");
          await cluster.query("vacuum wide");
        },
        () => addWide(cluster, 140_001, 142_000),
      ];
      for (const step of steps) {
        await step();
        const { manifest, because } = await world.increment();
        assert.equal(because, undefined);
        links.push({ manifest, state: await wideState(cluster) });
      }
      assert.deepEqual(links.map(({ state }) => state!["files"]), [1, 2, 2, 2, 2]);
      for (const { manifest, state } of links.slice(1)) {
        const { destination } = await world.restore(manifest);
        await world.run("pg_verifybackup", ["-n", destination]);
        const restored = await cluster.startFrom(destination);
        assert.deepEqual(await wideState(restored), state);
        await restored.stop();
        await Deno.remove(destination, { recursive: true });
      }
    });
  }
}
