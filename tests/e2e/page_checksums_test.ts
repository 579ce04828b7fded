/** Our page checksums and control file checks against PostgreSQL's own programs. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { ChunkPacker } from "../../src/engine/physical/files/chunk_packer.ts";
import { hasControlChecksum, readControlFile } from "../../src/postgres/files/control_file.ts";
import { relationFile } from "../../src/postgres/files/data_file_rules.ts";
import { listDataFiles } from "../../src/postgres/files/list_data_files.ts";
import { campaignSeed, reportCampaign, trials } from "../support/campaign.ts";
import { type Cluster, clusterMajors, startCluster } from "../support/postgres_cluster.ts";

const RUNS = trials({ full: 100, usual: 8 });
const PAGE = 8192;
/** pd_upper: what pg_checksums takes for a new page, and skips, is damage for us and the server. */
const PD_UPPER = [14, 15];

/** Damaged pages as we see them: `path block`. */
async function blamed(dataDirectory: string, paths: readonly string[]): Promise<string[]> {
  const packer = new ChunkPacker({
    dataDirectory,
    codec: { algorithm: "zstd", level: 1 },
    pages: { pageBytes: PAGE, segmentPages: 131_072, checksums: true },
  }, () => Promise.resolve());
  for (const path of paths) await packer.add({ type: "file", path });
  const files = await packer.finish();
  return files.flatMap(({ path, damaged = [] }) => damaged.map(({ block }) => `${path} ${block}`))
    .sort();
}

/** The same as pg_checksums sees them. */
async function blamedByPostgres(cluster: Cluster): Promise<string[]> {
  const command = new Deno.Command(`${cluster.binDir}/pg_checksums`, {
    args: ["--check", "-D", cluster.dataDir],
    env: { LC_ALL: "C" },
  });
  const { stderr } = await command.output();
  const found = new TextDecoder().decode(stderr)
    .matchAll(/failed in file "([^"]+)", block (\d+)/g);
  return [...found].map(([, path, block]) => `${path!.slice(cluster.dataDir.length + 1)} ${block}`)
    .sort();
}

async function flipBits(
  dataDirectory: string,
  flips: readonly { readonly path: string; readonly at: number; readonly bit: number }[],
): Promise<void> {
  for (const { path, at, bit } of flips) {
    using file = await Deno.open(`${dataDirectory}/${path}`, { read: true, write: true });
    const byte = new Uint8Array(1);
    await file.seek(at, Deno.SeekMode.Start);
    await file.read(byte);
    byte[0] = byte[0]! ^ (1 << bit);
    await file.seek(at, Deno.SeekMode.Start);
    await file.write(byte);
  }
}

for (const { major, binDir } of clusterMajors()) {
  Deno.test(`pages of PostgreSQL ${major} are blamed exactly when pg_checksums blames them`, async () => {
    await using cluster = await startCluster({ binDir });
    await cluster.query(
      "create table t as select i, md5(i::text) as m from generate_series(1, 20000) i; " +
        "create index on t (m); create table u (i int)",
    );
    await cluster.query("vacuum t");
    await cluster.stop("fast");
    const { dataDir } = cluster;
    const list = listDataFiles({ dataDirectory: dataDir, tablespaces: [], versionFolder: "" });
    const relations = list.files.filter(({ path, size }) => size > 0 && relationFile(path));
    const paths = relations.map(({ path }) => path);
    assert.deepEqual(await blamed(dataDir, paths), []);
    const flip = fc.tuple(fc.constantFrom(...relations), fc.nat(), fc.nat({ max: 7 }))
      .map(([{ path, size }, at, bit]) => ({ path, at: at % size, bit }))
      .filter(({ at }) => !PD_UPPER.includes(at % PAGE));
    const seed = campaignSeed();
    await fc.assert(
      fc.asyncProperty(fc.array(flip, { minLength: 1, maxLength: 12 }), async (flips) => {
        await flipBits(dataDir, flips);
        try {
          assert.deepEqual(await blamed(dataDir, paths), await blamedByPostgres(cluster));
        } finally {
          await flipBits(dataDir, flips);
        }
      }),
      { numRuns: RUNS, endOnFailure: true, seed },
    );
    reportCampaign({
      ...{ what: `flipped bits in pages of PostgreSQL ${major}`, n: RUNS, seed },
      outcome: "the same pages blamed as by pg_checksums",
    });
  });

  Deno.test(`the control file of PostgreSQL ${major} is known by its CRC, and every flipped bit of it`, async () => {
    await using cluster = await startCluster({ binDir });
    const { bytes, systemIdentifier, catalogVersion } = await readControlFile(cluster.dataDir);
    const [row] = await cluster.query(
      "select system_identifier::text as id, catalog_version_no as catalog from pg_control_system()",
    );
    assert.deepEqual(row, { id: systemIdentifier, catalog: catalogVersion });
    assert.ok(hasControlChecksum(bytes));
    for (let at = 0; at < 512 * 8; at++) {
      const bad = bytes.slice();
      bad[at >>> 3]! ^= 1 << (at & 7);
      assert.ok(!hasControlChecksum(bad), `bit ${at}`);
    }
    assert.ok(!hasControlChecksum(bytes.slice(0, 4096)));
  });
}
