/**
 * Increments by the LSNs of pages, on every version at hand. `BACKUPCTL_FAULTS=full` runs 100
 * histories on the first of them, with chains of up to ten increments.
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
  HISTORY_DATABASE,
  historyOf,
} from "../support/histories.ts";
import { campaignSeed, reportCampaign, trials } from "../support/campaign.ts";
import { IncrementWorld } from "../support/increment_world.ts";
import {
  type Cluster,
  clusterMajors,
  giveToServer,
  startCluster,
} from "../support/postgres_cluster.ts";

const HISTORIES = trials({ full: 100, usual: 1 });
const LINKS = HISTORIES > 1 ? 10 : 3;
/** pg_combinebackup came with it. */
const COMBINES_SINCE = 17;
/** pg_amcheck, too. */
const CHECKS_SINCE = 14;

const settings = { shared_buffers: "64MB", autovacuum: "off" };

/** Three increments with most of what may happen. */
const USUAL: readonly (readonly Happening[])[] = [
  [
    { sql: "update alpha set n = n + 1 where id % 7 = 0" },
    { sql: "delete from beta where id > (select max(id) / 2 from beta); vacuum beta" },
    { sql: "create database copied template history strategy file_copy" },
    { sql: "create index gamma_n on gamma (n, body)" },
    { sql: "create index beta_gist on beta using gist (int4range(n, n + 1))" },
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

for (const [place, { major, binDir }] of clusterMajors().entries()) {
  for (const checksums of [true, false]) {
    if (!checksums && place > 0) continue;
    const kind = checksums ? "with" : "without";
    Deno.test(`PostgreSQL ${major} ${kind} checksums: every link of a chain by page LSNs restores that moment`, async () => {
      const more = { tablespaces: ["aside"], checksums };
      const seed = campaignSeed();
      let restores = 0;
      await using cluster = await startCluster({ binDir, settings, ...more });
      await fc.assert(
        fc.asyncProperty(historyOf(LINKS), async (history) => {
          await using world = await IncrementWorld.open(cluster, { source: "files" });
          restores += await restoreEachLink(cluster, world, history);
        }),
        {
          numRuns: place === 0 ? HISTORIES : 1,
          ...{ endOnFailure: true, seed },
          // Some of everything, whatever the seed: it is the only one in the usual run.
          examples: HISTORIES > 1 ? [] : [[USUAL]],
        },
      );
      reportCampaign({
        what: `histories of PostgreSQL ${major} ${kind} checksums, increments by page LSNs`,
        n: place === 0 ? HISTORIES : 1,
        seed,
        outcome: `${restores} links restored and compared`,
      });
    });
  }
}

async function restoreEachLink(
  cluster: Cluster,
  world: IncrementWorld,
  history: readonly (readonly Happening[])[],
): Promise<number> {
  await beginHistory(cluster);
  const links = [{ manifest: await world.full(), state: await clusterState(cluster) }];
  for (const step of history) {
    for (const { sql } of step) await happen(cluster, { sql: spokenBy(cluster, sql) });
    const state = await clusterState(cluster);
    const { manifest, because } = await world.increment();
    assert.equal(because, undefined);
    assert.equal(manifest.source, "files");
    links.push({ manifest, state });
  }
  for (const { manifest, state } of links) {
    const { destination } = await world.restore(manifest);
    await world.run("pg_verifybackup", ["-n", destination]);
    const last = manifest === links.at(-1)!.manifest;
    if (last && cluster.major >= COMBINES_SINCE) {
      await compareWithPostgres(world, links.map((link) => link.manifest), destination);
    }
    const restored = await cluster.startFrom(destination);
    assert.deepEqual(await clusterState(restored), state);
    if (await hasChecks(cluster)) await checkStructure(restored);
    await restored.stop();
    await Deno.remove(destination, { recursive: true });
  }
  return links.length;
}

/** Before 15 databases were copied by file, and there was no word for it. */
function spokenBy({ major }: Cluster, sql: string): string {
  return major < 15 ? sql.replaceAll(" strategy file_copy", "") : sql;
}

async function hasChecks(cluster: Cluster): Promise<boolean> {
  const [row] = await cluster.query(
    "select count(*)::int as n from pg_available_extensions where name in ('amcheck', 'pg_visibility')",
  );
  if (cluster.major >= CHECKS_SINCE && row?.["n"] === 2) return true;
  console.warn(`NO STRUCTURE CHECKED: PostgreSQL ${cluster.major} here has no pg_amcheck`);
  return false;
}

/** What pg_combinebackup makes of the same chain. */
async function compareWithPostgres(
  world: IncrementWorld,
  chain: readonly BackupManifest[],
  destination: string,
): Promise<void> {
  const folders = await world.unpackPlain(chain);
  const combined = `${world.folder}/combined`;
  try {
    await giveToServer(world.folder);
    await world.run("pg_combinebackup", [...folders, "-o", combined, "--no-sync"]);
    assert.deepEqual(await dataFiles(destination), await dataFiles(combined));
  } finally {
    for (const folder of [...folders, combined]) await Deno.remove(folder, { recursive: true });
  }
}

/** Length and hash by path; not what a restore or the tool writes in its own way. */
async function dataFiles(folder: string): Promise<readonly string[]> {
  const own = /^(backup_manifest|postgresql\.auto\.conf|pg_tblspc\/.*)$/;
  return [...await fileTree(folder)].filter(([path]) => !own.test(path))
    .map(([path, what]) => `${path} ${what.replace(/^(\w+) 0?[0-7]{3,4}/, "$1")}`);
}

Deno.test("an increment of a table of which 1 % changed stores less than a tenth of the full backup", async () => {
  await using cluster = await startCluster({ settings });
  await using world = await IncrementWorld.open(cluster, { source: "files" });
  await beginHistory(cluster);
  const run = (sql: string) => cluster.query(sql, { database: HISTORY_DATABASE });
  await run(
    "create table wide as select i as id, repeat(md5(i::text), 20) as body from generate_series(1, 60000) i",
  );
  // Hint bits would get every page an LSN of its own later.
  await run("vacuum (freeze) wide");
  const full = await world.full();
  await run("update wide set body = 'changed' where id between 1000 and 1600");
  const { manifest } = await world.increment();
  assert.equal(manifest.parentId, full.id);
  assert.ok(manifest.rawBytes - 16 * 1024 * 1024 < full.rawBytes / 10, `${manifest.rawBytes}`);
});

Deno.test("an increment upon a backup that was sent, and upon a copied file, takes all that is needed", async () => {
  await using cluster = await startCluster({ settings });
  await using sent = await IncrementWorld.open(cluster);
  await sent.full();
  await using world = await IncrementWorld.open(cluster, { source: "files" });
  await beginHistory(cluster);
  await world.full();
  const [row] = await cluster.query("select pg_relation_filepath('beta') as path", {
    database: HISTORY_DATABASE,
  });
  const path = `${cluster.dataDir}/${row?.["path"]}`;
  const state = await clusterState(cluster);
  // Another file of the same content: nobody knows where its pages come from.
  await cluster.stop("fast");
  await Deno.copyFile(path, `${path}.copy`);
  await Deno.rename(`${path}.copy`, path);
  await giveToServer(cluster.dataDir);
  await cluster.start();
  const { manifest } = await world.increment();
  const [folder] = await world.unpackPlain([manifest]);
  try {
    assert.ok((await Deno.stat(`${folder}/${row?.["path"]}`)).isFile, "it is stored whole");
  } finally {
    await Deno.remove(folder!, { recursive: true });
  }
  const restored = await cluster.startFrom((await world.restore(manifest)).destination);
  assert.deepEqual(await clusterState(restored), state);
});
