/**
 * wal-push killed at random moments, against a store that fails in every way: whatever was
 * acknowledged to PostgreSQL is in the archive, bit for bit.
 */
import assert from "node:assert/strict";
import { parseWalName } from "../../src/domain/wal.ts";
import { walKey } from "../../src/domain/wal_key.ts";
import { decodeWal, digestOf } from "../../src/engine/wal/wal_object.ts";
import { bytesOf } from "../support/bodies.ts";
import { storeOn } from "../support/light_stores.ts";
import { spawnCli } from "../support/run_cli.ts";
import { type FaultAction, seededRandom } from "../support/s3_server/faults.ts";
import { S3Server } from "../support/s3_server/s3_server.ts";
import { campaignSeed, reportCampaign, trials } from "../support/campaign.ts";
import { sendSignal } from "../support/send_signal.ts";
import { PLACE, WalRig } from "../support/wal_rig.ts";
import { makeSegment } from "../support/wal_segments.ts";

/** Segments that are pushed at least; in full, until so many calls were killed. */
const TRIALS = 40;
const KILLS = trials({ full: 500, usual: 1 });

const FAULTS: readonly (readonly [share: number, action: FaultAction])[] = [
  [0.1, { kind: "error", status: 503, code: "SlowDown" }],
  [0.05, { kind: "error", status: 500, code: "InternalError" }],
  [0.05, { kind: "refused" }],
  [0.08, { kind: "lost answer" }],
  [0.05, { kind: "error in 200", code: "InternalError" }],
  [0.05, { kind: "no etag" }],
  [0.05, { kind: "twice" }],
  [0.03, { kind: "drip", bytesPerSecond: 300_000 }],
];

Deno.test(`of pushes under faults and ${KILLS} SIGKILLs, every acknowledged one is archived`, async () => {
  const seed = campaignSeed();
  const random = seededRandom(seed);
  await using server = S3Server.start({ seed });
  for (const [probability, action] of FAULTS) server.fail({ probability }, action);
  await using rig = await WalRig.make();
  const env = {
    ...{ HOME: rig.folder, S3_BUCKET: "bucket", AWS_REGION: "us-east-1" },
    ...{ AWS_ENDPOINT_URL_S3: server.endpoint, AWS_ACCESS_KEY_ID: "testkey" },
    AWS_SECRET_ACCESS_KEY: "testsecretkey123",
  };
  const segment = (number: number) => makeSegment({ number, seed: number, filled: 0.2 });
  const durations = [200];
  let kills = 0;
  let calls = 0;

  /** One call as the archiver makes it; whether it was acknowledged. */
  const push = async (name: string): Promise<boolean> => {
    const child = spawnCli(["wal-push", `pg_wal/${name}`, "--timeout", "20s"], {
      ...{ cwd: rig.folder, env },
    });
    const start = performance.now();
    // Anywhere in a usual call, and a little behind its end.
    const usual = durations.toSorted((a, b) => a - b)[Math.floor(durations.length * 0.9)]!;
    const after = random() < 0.6 ? random() * 1.2 * usual : undefined;
    const timer = after && setTimeout(() => sendSignal(child, "SIGKILL"), after);
    const { code, signal } = await child.output();
    clearTimeout(timer);
    calls += 1;
    if (signal === "SIGKILL") kills += 1;
    if (code === 0) durations.push(Math.min(2_000, performance.now() - start));
    return code === 0;
  };

  let pushed = 0;
  for (let number = 1; number <= TRIALS || kills < KILLS; number++) {
    // Some wait behind the one that is asked for, so that calls push ahead and leave marks.
    for (const next of [0, 1, 2, 3, 4].map((behind) => number + behind)) {
      const { name, bytes } = segment(next);
      const mark = `${rig.folder}/pg_wal/archive_status/${name}.ready`;
      if (!await Deno.lstat(mark).catch(() => null)) await rig.write(name, bytes, { ready: true });
    }
    const { name } = segment(number);
    let tries = 0;
    while (!await push(name)) assert.ok(++tries < 30, `seed ${seed}: ${name} never gets through`);
    await Deno.remove(`${rig.folder}/pg_wal/archive_status/${name}.ready`);
    await Deno.remove(`${rig.folder}/pg_wal/${name}`);
    pushed = number;
  }

  server.heal();
  const store = storeOn(server, { prefix: "backupctl" });
  for (let number = 1; number <= pushed; number++) {
    const { name, bytes } = segment(number);
    const key = walKey(PLACE, parseWalName(name)!);
    const info = await store.head(key);
    assert.ok(info, `seed ${seed}: ${name} was acknowledged and is not archived`);
    const stored = await bytesOf(await store.get(key));
    const archived = decodeWal(parseWalName(name)!, { stored, expected: digestOf(info) });
    assert.ok(Buffer.compare(archived, bytes) === 0, `seed ${seed}: ${name} differs`);
  }
  await store.close();
  const faults = server.requests.filter(({ fault }) => fault !== undefined).length;
  reportCampaign({
    ...{ what: "wal-push killed under faults: all acknowledged archived", n: kills, seed },
    outcome: `${pushed} segments, ${calls} calls, ${faults} faults; 0 lost, 0 different`,
  });
  assert.ok(faults > 0, `seed ${seed}: nothing went wrong`);
});
