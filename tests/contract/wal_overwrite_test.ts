/**
 * Whatever the store, a WAL file that is archived stays as it is: of two files that race for one
 * name one wins, and neither the other nor a third one ever takes its place.
 */
import assert from "node:assert/strict";
import { ArchiveConflictError } from "../../src/domain/errors.ts";
import { pushWal } from "../../src/engine/wal/wal_push.ts";
import { DirectoryStore } from "../../src/storage/directory.ts";
import { S3LightStore } from "../../src/storage/s3_light.ts";
import type { ObjectStore } from "../../src/storage/storage.ts";
import { reportCampaign, trials } from "../support/campaign.ts";
import { createBucket, realServers, storeOn } from "../support/light_stores.ts";
import { S3Server } from "../support/s3_server/s3_server.ts";
import { pushParts, WalRig } from "../support/wal_rig.ts";
import { makeSegment } from "../support/wal_segments.ts";

const NAMES = trials({ full: 1_500, usual: 25 });
/** They keep "only if absent"; the others are asked before (`conditionalPut` false). */
const CONDITIONAL: ReadonlySet<string> = new Set(["versitygw", "minio"]);

async function showNoOverwrite(where: string, store: ObjectStore): Promise<void> {
  await using rig = await WalRig.make();
  const parts = pushParts({ store });
  const wins = [0, 0];
  for (let number = 1; number <= NAMES; number++) {
    const files = [];
    for (const seed of [1, 2, 3]) {
      const { name, bytes } = makeSegment({ number, seed, filled: 0.02 });
      files.push(await rig.file(name, bytes));
    }
    const third = files.pop()!;
    const ends = await Promise.allSettled(files.map((file) => pushWal(parts, file)));
    const winner = ends.findIndex(({ status }) => status === "fulfilled");
    const [won, lost] = [ends[winner]!, ends[1 - winner]!];
    assert.ok(won.status === "fulfilled", `${where}: nobody wins ${number}`);
    assert.ok(lost.status === "rejected" && lost.reason instanceof ArchiveConflictError);
    await assert.rejects(pushWal(parts, third), ArchiveConflictError);
    const info = await store.head(won.value.key);
    assert.equal(info?.metadata?.["sha256"], won.value.sha256, `${where}: ${number} was replaced`);
    wins[winner]! += 1;
  }
  reportCampaign({
    ...{ what: `overwriting WAL in ${where}: refused`, n: 2 * NAMES, seed: 0 },
    outcome: `${NAMES} races, ${wins.join(" and ")} wins; 0 replaced`,
  });
}

Deno.test(`archived WAL in a folder is never replaced (${NAMES} names)`, async () => {
  const folder = await Deno.makeTempDir();
  await showNoOverwrite("a folder", new DirectoryStore(folder));
  await Deno.remove(folder, { recursive: true });
});

Deno.test(`archived WAL on the small server is never replaced (${NAMES} names)`, async () => {
  await using server = S3Server.start();
  const store = storeOn(server, { prefix: "p" });
  await showNoOverwrite("the small server", store);
  await store.close();
});

for (const server of realServers().filter(({ name }) => CONDITIONAL.has(name))) {
  const { endpoint = "" } = server.options;
  Deno.test(`archived WAL on ${server.name} (${endpoint.split(":")[0]}) is never replaced (${NAMES} names)`, async () => {
    const bucket = `overwrite-${crypto.randomUUID()}`;
    await createBucket(server, bucket);
    const store = new S3LightStore({ ...server.options, bucket, prefix: "p" });
    await showNoOverwrite(server.name, store);
    await store.close();
  });
}
