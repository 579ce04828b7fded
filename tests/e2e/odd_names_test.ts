/** Whatever files are called that lie in a data directory, they come back under that name. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { campaignSeed, reportCampaign, trials } from "../support/campaign.ts";
import { FilesRig } from "../support/files_rig.ts";
import { giveToServer, startCluster } from "../support/postgres_cluster.ts";

const NAMES = trials({ full: 2_000, usual: 200 });
/** What programs stumble over, and what no program thinks of. */
const PIECE = fc.oneof(
  fc.constantFrom(
    ..."\n|\r|\t| |\"|'|\\|%|%2F|..|-|--|~|$(id)|`|;|&|*|?|é|ß|😀|\u202e|\x1b[2J|a|A|.tmp"
      .split("|"),
  ),
  fc.string({ unit: "binary", minLength: 1, maxLength: 4 }),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 80 }),
);
const NAME = fc.array(PIECE, { minLength: 1, maxLength: 8 }).map((pieces) => pieces.join(""))
  .filter(isFileName);

/** Of a file, on Linux; a name that is no UTF-8 is refused, by another test. */
function isFileName(name: string): boolean {
  const isOne = name !== "." && name !== ".." && !/[/\0]/.test(name) && name.isWellFormed();
  return isOne && new TextEncoder().encode(name).length <= 255;
}

Deno.test(`files with ${NAMES} odd names are backed up and restored`, async () => {
  const seed = campaignSeed();
  const names = new Set<string>();
  for (const name of fc.sample(NAME, { numRuns: 2 * NAMES, seed: seed | 0 })) {
    if (names.size < NAMES) names.add(name);
  }
  await using cluster = await startCluster();
  const folder = `${cluster.dataDir}/log`;
  await Deno.mkdir(folder);
  for (const name of names) await Deno.writeTextFile(`${folder}/${name}`, name);
  await giveToServer(cluster.dataDir);
  await using rig = await FilesRig.open(cluster);
  const { id } = await rig.backup();
  const destination = await rig.restore(id, "restored");
  const found = new Set(Array.from(Deno.readDirSync(`${destination}/log`), ({ name }) => name));
  assert.ok(names.isSubsetOf(found) && found.isSubsetOf(names), `seed ${seed}`);
  for (const name of names) {
    assert.equal(await Deno.readTextFile(`${destination}/log/${name}`), name, `seed ${seed}`);
  }
  await cluster.run("pg_verifybackup", [destination]);
  reportCampaign({
    ...{ what: "odd names of files: backed up and restored", n: names.size, seed },
    outcome: "every one under its name, with its content; pg_verifybackup finds no fault",
  });
});
