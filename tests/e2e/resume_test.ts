/**
 * SIGKILL at random moments of a backup; then rows are written in place, in half of the trials with
 * the times of all files put back, and the next backup takes over what it can. Every one of them is
 * restored, verified, started, and compared row by row. `deno task faults` runs 100 of them.
 */
import assert from "node:assert/strict";
import { openRepository } from "../../src/catalog/repository.ts";
import { WorkerPool } from "../../src/codec/worker_pool.ts";
import { formatBytes } from "../../src/domain/bytes.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { pause } from "../../src/domain/pause.ts";
import { silentProgress } from "../../src/domain/progress.ts";
import type { RestoreParts } from "../../src/engine/parts.ts";
import { RestoreEngine } from "../../src/engine/restore_engine.ts";
import { DirectoryStore } from "../../src/storage/directory.ts";
import { S3Store } from "../../src/storage/s3.ts";
import type { ObjectStore } from "../../src/storage/storage.ts";
import { campaignSeed, reportCampaign, trials } from "../support/campaign.ts";
import { createBucket, realServers, SMALL_SERVER_KEYS } from "../support/light_stores.ts";
import { type Cluster, makeServerFolder, startCluster } from "../support/postgres_cluster.ts";
import { runCli, spawnCli } from "../support/run_cli.ts";
import { seededRandom } from "../support/s3_server/faults.ts";
import { S3Server } from "../support/s3_server/s3_server.ts";
import { sendSignal } from "../support/send_signal.ts";
import { assertStamps, makeStamps, StampLoad } from "../support/stamped_rows.ts";

const KILLS = trials({ full: 100, usual: 2 });
const BUCKET_KILLS = trials({ full: 100, usual: 2 });
const PREFIX = "backupctl";
/** About as many as one backup of that cluster has, with those that go away at its end. */
const MOST_OBJECTS = 16;
/** So many trials see what those before them have left. */
const TRIALS_PER_REPOSITORY = 5;

/** Where backups go, seen by this process and by the program. */
interface Place {
  readonly name: string;
  readonly store: ObjectStore;
  readonly env: Readonly<Record<string, string>>;
}

interface TakenOver {
  readonly objects: number;
  readonly stored_bytes: number;
  readonly from: readonly string[];
}

/** A cluster that is written to, and backups of it that are cut off. */
class KillRig {
  readonly cluster: Cluster;
  readonly load: StampLoad;
  readonly #folder: string;
  readonly #place: Place;
  readonly #random: () => number;

  constructor(
    cluster: Cluster,
    { folder, place, random, load }: {
      readonly folder: string;
      readonly place: Place;
      readonly random: () => number;
      readonly load: StampLoad;
    },
  ) {
    this.cluster = cluster;
    this.load = load;
    this.#folder = folder;
    this.#place = place;
    this.#random = random;
  }

  get #env(): Record<string, string> {
    return {
      ...this.#place.env,
      ...{ BACKUPCTL_METADATA_URL: "off", HOME: this.#folder, PGSSLMODE: "disable" },
      ...{ PG_HOST: "127.0.0.1", PG_PORT: String(this.cluster.port), PG_USER: this.cluster.user },
    };
  }

  #words(...more: string[]): string[] {
    const words = ["backup", "full", "--method", "physical", "--source", "files"];
    return [...words, "--fast-checkpoint", "--jobs", "2", "--output", "json", ...more];
  }

  /** @returns the backup's name and what it took over. */
  async backup(...more: string[]) {
    const { status, stdout, stderr } = await runCli(this.#words(...more), { env: this.#env });
    assert.equal(status, 0, stderr);
    const { backup, taken_over } = JSON.parse(stdout);
    return { id: String(backup.id), takenOver: taken_over as TakenOver | null };
  }

  /** @returns what it prints for people. */
  async backupInWords(): Promise<{ readonly stdout: string; readonly stderr: string }> {
    const words = this.#words().filter((word) => word !== "--output" && word !== "json");
    const { status, stdout, stderr } = await runCli(words, { env: this.#env });
    assert.equal(status, 0, stderr);
    return { stdout, stderr };
  }

  /** Kills one that has left at least so many records of chunks. @returns false: it was faster. */
  async killWithRecords(least: number): Promise<boolean> {
    // Slow enough to be seen: 2 MB a second of some 40.
    const child = spawnCli(this.#words("--max-rate", "2M"), { env: this.#env });
    let ended = false;
    const output = child.output().finally(() => ended = true);
    while (!ended && await this.records() < least) await pause(20);
    if (!ended) sendSignal(child, "SIGKILL");
    await output;
    return await this.records() >= least; // one that came to its end has removed them
  }

  /** Kills one while it stores its first objects, or its last, or any in between. */
  async killBackup(): Promise<void> {
    const child = spawnCli(this.#words(), { env: this.#env });
    let ended = false;
    const output = child.output().finally(() => ended = true);
    const known = (await this.#keys()).length;
    const objects = Math.floor(this.#random() * MOST_OBJECTS);
    while (!ended && (await this.#keys()).length < known + objects) await pause(20);
    await pause(this.#random() * 200);
    if (!ended) sendSignal(child, "SIGKILL");
    await output;
  }

  /** How many records of chunks runs that were killed have left. */
  async records(): Promise<number> {
    return (await this.#keys()).filter((key) => key.includes("/resume/")).length;
  }

  async #keys(): Promise<readonly string[]> {
    return (await Array.fromAsync(this.#place.store.list(""))).map(({ key }) => key);
  }

  /** Writes rows in place; `inSecret`: and puts the times of all files back. */
  async change({ inSecret }: { readonly inSecret: boolean }): Promise<void> {
    // What the load has written is in the server's memory: the files have the times of the listing.
    const before = await fileTimes(`${this.cluster.dataDir}/base`);
    for (let count = Math.floor(this.#random() * 4); count >= 0; count--) await this.load.write();
    await this.cluster.query("checkpoint");
    if (!inSecret) return;
    for (const [path, time] of before) await Deno.utime(path, time, time).catch(() => {});
  }

  /** Restores it and looks at every row. */
  async prove(id: string, about: { least: number; most: number; what: string }): Promise<void> {
    const { store } = this.#place;
    using codecs = new WorkerPool(2);
    const repository = openRepository(store, { cluster: "main" });
    const parts = { store, codecs, repository, clock: systemClock, progress: silentProgress };
    const destination = `${this.#folder}/restored`;
    const engine = new RestoreEngine(parts as unknown as RestoreParts);
    await engine.restore(await repository.backup(id), { destination, jobs: 2 });
    await this.cluster.run("pg_verifybackup", ["-n", destination]);
    const copy = await this.cluster.startFrom(destination);
    await assertStamps(copy, about);
    await copy.stop();
    await Deno.remove(destination, { recursive: true });
  }

  async empty(): Promise<void> {
    await this.#place.store.delete(await this.#keys());
  }
}

async function fileTimes(folder: string): Promise<Map<string, Date>> {
  const times = new Map<string, Date>();
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) { for (const pair of await fileTimes(path)) times.set(...pair); }
    if (!isFile) continue;
    const info = await Deno.stat(path).catch(() => null);
    if (info?.mtime) times.set(path, info.mtime);
  }
  return times;
}

async function campaign(place: Place, count: number): Promise<void> {
  const seed = campaignSeed();
  const what = `${place.name}, seed ${seed}`;
  const folder = await makeServerFolder("backupctl-resume-");
  await using cluster = await startCluster();
  await makeStamps(cluster);
  const load = new StampLoad(cluster);
  const rig = new KillRig(cluster, { folder, place, random: seededRandom(seed), load });
  const outcomes = { left: 0, resumed: 0, objects: 0, bytes: 0 };
  try {
    for (let trial = 1; trial <= count; trial++) {
      if (trial % TRIALS_PER_REPOSITORY === 0) await rig.empty();
      load.start();
      await rig.killBackup().finally(() => load.stop());
      if (await rig.records() > 0) outcomes.left += 1;
      const inSecret = trial % 2 === 0;
      await rig.change({ inSecret });
      const least = load.last;
      // With the checkpoint of the backup the load would give new times to the files.
      if (!inSecret) load.start();
      const { id, takenOver } = await rig.backup().finally(() => load.stop());
      await rig.prove(id, { least, most: load.last, what: `${what}, trial ${trial}` });
      if (!takenOver) continue;
      outcomes.resumed += 1;
      outcomes.objects += takenOver.objects;
      outcomes.bytes += takenOver.stored_bytes;
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  reportCampaign({
    what: `SIGKILL of a backup into ${place.name}, changes, the next backup, restore, amcheck`,
    n: count,
    seed,
    outcome:
      `all consistent; ${outcomes.left} kills left chunks, ${outcomes.resumed} backups took ` +
      `over ${outcomes.objects} of them, ${formatBytes(outcomes.bytes)}`,
  });
}

async function folderPlace(): Promise<Place & AsyncDisposable> {
  const path = await makeServerFolder("backupctl-resume-repository-");
  return {
    name: "a folder",
    store: new DirectoryStore(path),
    env: { BACKUPCTL_REPOSITORY_PATH: path },
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** On the first real server without TLS, or else on the small one. */
async function bucketPlace(): Promise<Place & AsyncDisposable> {
  const bucket = `resume-${crypto.randomUUID()}`;
  const real = realServers().find(({ options }) => options.endpoint?.startsWith("http:"));
  if (real) await createBucket(real, bucket);
  const small = real ? undefined : S3Server.start({ buckets: [bucket] });
  const endpoint = real?.options.endpoint ?? small!.endpoint;
  const region = real?.options.region ?? "us-east-1";
  const credentials = real?.options.credentials ?? SMALL_SERVER_KEYS;
  const store = new S3Store({ bucket, endpoint, credentials, region, prefix: PREFIX });
  return {
    name: `a bucket of ${real?.name ?? "the small server"}`,
    store,
    env: {
      ...{ S3_BUCKET: bucket, AWS_REGION: region, AWS_ENDPOINT_URL_S3: endpoint },
      BACKUPCTL_REPOSITORY_PREFIX: PREFIX,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      await small?.[Symbol.asyncDispose]();
    },
  };
}

Deno.test("the backup after one that was killed says what it took over, unless --no-resume", async () => {
  await using place = await folderPlace();
  await using cluster = await startCluster();
  const folder = await makeServerFolder("backupctl-resume-");
  const load = new StampLoad(cluster);
  const rig = new KillRig(cluster, { folder, place, random: Math.random, load });
  await makeStamps(cluster);
  try {
    for (let tries = 1; !await rig.killWithRecords(2); tries++) assert.ok(tries < 20);
    assert.equal((await rig.backup("--no-resume")).takenOver, null);
    const { stdout, stderr } = await rig.backupInWords();
    assert.match(stderr, /stored without coming to an end are compared/);
    assert.match(stdout, /of it \(\d+ objects?\) taken over from \d{8}T\d{6}Z-F/);
    assert.match(stderr, /"taken_over_bytes":\d+/);
    const manifest = (await openRepository(place.store, { cluster: "main" }).backups()).at(-1);
    assert.ok(manifest?.takenOver && manifest.takenOver.objects > 0);
    // The records of the killed one alone are left.
    assert.ok(await rig.records() >= 2);
    const own = await Array.fromAsync(
      place.store.list(`main/${manifest.systemIdentifier}/backups/${manifest.id}/resume/`),
    );
    assert.deepEqual(own, []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test(`a backup into a folder that was killed is followed by whole ones (${KILLS} kills)`, async () => {
  await using place = await folderPlace();
  await campaign(place, KILLS);
});

Deno.test(`a backup into a bucket that was killed is followed by whole ones (${BUCKET_KILLS} kills)`, async () => {
  await using place = await bucketPlace();
  await campaign(place, BUCKET_KILLS);
});
