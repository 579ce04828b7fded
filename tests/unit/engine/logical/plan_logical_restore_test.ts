import assert from "node:assert/strict";
import type { BackupManifest } from "../../../../src/catalog/catalog.ts";
import { UsageError } from "../../../../src/domain/errors.ts";
import { RestoreEngine } from "../../../../src/engine/engine.ts";
import type { RestoreOptions, RestoreParts } from "../../../../src/engine/parts.ts";
import { logicalTarget } from "../../../../src/engine/logical/plan_logical_restore.ts";
import type { ConnectionOptions } from "../../../../src/postgres/postgres.ts";
import { sampleManifest } from "../../../support/manifests.ts";

const into: ConnectionOptions = {
  host: "::1",
  port: 5432,
  user: "postgres",
  database: "postgres",
  sslmode: "disable",
};
const jobs = 1;

const MISUSES: readonly { readonly what: string; readonly options: RestoreOptions }[] = [
  { what: "no target", options: { jobs } },
  { what: "an empty destination", options: { jobs, destination: "" } },
  { what: "two targets", options: { jobs, destination: "/x", into } },
  {
    what: "a tablespace map",
    options: { jobs, destination: "/x", tablespaceMap: new Map([["/a", "/b"]]) },
  },
];

for (const { what, options } of MISUSES) {
  Deno.test(`a logical restore refuses ${what}`, () => {
    assert.throws(() => logicalTarget(options), UsageError);
  });
}

/** A plan for a folder asks for one listing of the backup's objects, and for no programs. */
function partsListing(backup: BackupManifest): RestoreParts {
  const folder = "main/1/backups/id/";
  async function* list() {
    for (const { key, storedBytes } of backup.objects) {
      yield await Promise.resolve({ key: folder + key, size: storedBytes });
    }
  }
  return { repository: { folder: () => folder }, store: { list } } as unknown as RestoreParts;
}

const plan = (destination: string) => {
  const backup = sampleManifest();
  return new RestoreEngine(partsListing(backup)).plan(backup, { destination, jobs });
};

Deno.test("plan() of dump files tells sizes, room and obstacles, and makes nothing", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const backup = sampleManifest();
    const found = await plan(`${folder}/new`);
    assert.equal(found.objects, 2);
    assert.equal(found.fetchBytes, backup.storedBytes);
    assert.equal(found.writeBytes, backup.rawBytes);
    assert.ok(found.freeBytes! > 0);
    assert.deepEqual(found.obstacles, []);
    await assert.rejects(Deno.stat(`${folder}/new`), Deno.errors.NotFound);
    await Deno.writeTextFile(`${folder}/mine`, "");
    assert.match((await plan(folder)).obstacles.join(), /is not empty: it holds mine/);
    assert.match((await plan(`${folder}/mine`)).obstacles.join(), /not a folder/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("plan() of dump files larger than the disk names the need", async () => {
  const [globals, dump] = sampleManifest().objects;
  const objects = [globals!, { ...dump!, rawBytes: 2 ** 52 }];
  const backup = sampleManifest({ objects });
  const options = { destination: "/tmp/absent", jobs };
  const { obstacles } = await new RestoreEngine(partsListing(backup)).plan(backup, options);
  assert.match(obstacles.join(), /has room for .*, 4\.0 PB are needed/);
});
