/**
 * wal-push killed at random moments, against a store that fails in every way: whatever was
 * acknowledged to PostgreSQL is in the archive, bit for bit. The small server fails by itself; real
 * ones stand behind it for one half of the calls, and are asked at once by the other half.
 */
import assert from "node:assert/strict";
import { generateIdentity, KeyRing, ObjectOpener } from "../../src/crypto/crypto.ts";
import type { Bytes } from "../../src/domain/bytes.ts";
import { parseWalName } from "../../src/domain/wal.ts";
import { walKey } from "../../src/domain/wal_key.ts";
import { digestOf } from "../../src/engine/wal/wal_object.ts";
import { decodedWal } from "../support/decoded_wal.ts";
import { S3LightStore } from "../../src/storage/s3_light.ts";
import { bytesOf } from "../support/bodies.ts";
import { campaignSeed, reportCampaign, trials } from "../support/campaign.ts";
import {
  createBucket,
  type LightServer,
  realServers,
  SMALL_SERVER_KEYS,
} from "../support/light_stores.ts";
import { spawnCli } from "../support/run_cli.ts";
import { type FaultAction, seededRandom } from "../support/s3_server/faults.ts";
import { S3Server } from "../support/s3_server/s3_server.ts";
import { sendSignal } from "../support/send_signal.ts";
import { PLACE, WalRig } from "../support/wal_rig.ts";
import { type MadeSegment, makeSegment } from "../support/wal_segments.ts";

/** Segments that wait behind the one that is asked for, so that calls push ahead and leave marks. */
const WAITING = 4;
/** A store that fails half of the requests lets a file through by then. */
const MAX_TRIES = 60;

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

type Keys = Awaited<ReturnType<typeof generateIdentity>>;

/** Where segments are pushed to. */
interface Target {
  readonly name: string;
  /** Pushed at least … */
  readonly segments: number;
  /** … and until so many calls were killed. */
  readonly kills: number;
  /** Undefined: the small server keeps them. */
  readonly real?: LightServer;
  readonly encrypted?: boolean;
}

/** The small server, and those of the real ones that are reached by http. */
function targets(): readonly Target[] {
  const plain = realServers().filter(({ options }) => options.endpoint?.startsWith("http:"));
  const segments = trials({ full: 5_000, usual: 60 });
  return [
    { name: "the small server", segments: 40, kills: trials({ full: 500, usual: 1 }) },
    {
      ...{ name: "the small server, encrypted", encrypted: true },
      ...{ segments: 20, kills: trials({ full: 500, usual: 1 }) },
    },
    ...plain.filter(({ name }) => name === "versitygw" || name === "minio")
      .map((real) => ({ name: real.name, segments, kills: segments / 5, real })),
  ];
}

function segmentOf(number: number): MadeSegment {
  return makeSegment({ number, seed: number, filled: number % 4 === 0 ? 1 : 0.2 });
}

/** The archiver of a cluster whose store fails and whose calls are killed. */
class Pusher implements AsyncDisposable {
  readonly seed: number;
  readonly bucket: string;
  kills = 0;
  calls = 0;
  pushed = 0;
  readonly #server: S3Server;
  readonly #rig: WalRig;
  readonly #real: LightServer | undefined;
  /** What everything is encrypted to. */
  readonly #keys: Keys | undefined;
  readonly #random: () => number;
  /** Milliseconds of calls that were acknowledged. */
  readonly #durations = [200];

  private constructor(
    { seed, bucket, server, rig, real, keys }: {
      readonly seed: number;
      readonly bucket: string;
      readonly server: S3Server;
      readonly rig: WalRig;
      readonly real: LightServer | undefined;
      readonly keys: Keys | undefined;
    },
  ) {
    this.seed = seed;
    this.bucket = bucket;
    this.#server = server;
    this.#rig = rig;
    this.#real = real;
    this.#keys = keys;
    this.#random = seededRandom(seed);
  }

  static async begin({ real, encrypted = false }: Target): Promise<Pusher> {
    const seed = campaignSeed();
    const bucket = `wal-faults-${crypto.randomUUID()}`;
    const server = S3Server.start({ seed, buckets: [bucket], origin: real?.options.endpoint });
    for (const [probability, action] of FAULTS) server.fail({ probability }, action);
    if (real) await createBucket(real, bucket);
    const keys = encrypted ? await generateIdentity() : undefined;
    return new Pusher({ seed, bucket, server, real, keys, rig: await WalRig.make() });
  }

  /** How often the store failed. */
  get faults(): number {
    return this.#server.requests.filter(({ fault }) => fault !== undefined).length;
  }

  /** Has the next segment archived, however often that takes. */
  async next(): Promise<void> {
    const number = this.pushed + 1;
    const folder = `${this.#rig.folder}/pg_wal`;
    for (let waiting = number; waiting <= number + WAITING; waiting++) {
      const { name, bytes } = segmentOf(waiting);
      if (await Deno.lstat(`${folder}/${name}`).catch(() => undefined)) continue;
      await this.#rig.write(name, bytes, { ready: true });
    }
    const { name } = segmentOf(number);
    for (let tries = 1; !await this.#push(name); tries++) {
      assert.ok(tries < MAX_TRIES, `seed ${this.seed}: ${name} never gets through`);
    }
    await Deno.remove(`${folder}/archive_status/${name}.ready`);
    await Deno.remove(`${folder}/${name}`);
    this.pushed = number;
  }

  /** Reads what was acknowledged from where it is kept. */
  async check(): Promise<void> {
    this.#server.heal();
    const { endpoint, credentials } = this.#access(true);
    const store = new S3LightStore({
      ...{ bucket: this.bucket, prefix: "backupctl", endpoint, region: "us-east-1", credentials },
      allowHttp: true,
    });
    for (let number = 1; number <= this.pushed; number++) {
      const { name, bytes } = segmentOf(number);
      const key = walKey(PLACE, parseWalName(name)!);
      const info = await store.head(key);
      assert.ok(info, `seed ${this.seed}: ${name} was acknowledged and is not archived`);
      const stored = await this.#opened(key, await bytesOf(await store.get(key)));
      const archived = decodedWal(parseWalName(name)!, { stored, expected: digestOf(info) });
      assert.ok(Buffer.compare(archived, bytes) === 0, `seed ${this.seed}: ${name} differs`);
    }
    await store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await this.#rig[Symbol.asyncDispose]();
  }

  async #opened(key: string, stored: Bytes): Promise<Bytes> {
    if (!this.#keys) return stored;
    const { identity } = this.#keys;
    return await new ObjectOpener(new KeyRing({ identities: () => Promise.resolve([identity]) }))
      .open(key, stored);
  }

  /** One call as the archiver makes it; whether it was acknowledged. */
  async #push(name: string): Promise<boolean> {
    const child = spawnCli(["wal-push", `pg_wal/${name}`, "--timeout", "20s"], {
      ...{ cwd: this.#rig.folder, env: this.#env(this.#random() < 0.5) },
    });
    const start = performance.now();
    // Anywhere in a usual call, and a little behind its end.
    const usual = this.#durations.toSorted((a, b) => a - b)[
      Math.floor(this.#durations.length * 0.9)
    ]!;
    const after = this.#random() < 0.6 ? this.#random() * 1.2 * usual : undefined;
    const timer = after && setTimeout(() => sendSignal(child, "SIGKILL"), after);
    const { code, signal } = await child.output();
    clearTimeout(timer);
    this.calls += 1;
    if (signal === "SIGKILL") this.kills += 1;
    if (code === 0) {
      this.#durations.push(Math.min(2_000, performance.now() - start));
      if (this.#durations.length > 100) this.#durations.shift();
    }
    return code === 0;
  }

  #env(atOnce: boolean): Record<string, string> {
    const { endpoint, credentials } = this.#access(atOnce);
    return {
      ...{ HOME: this.#rig.folder, S3_BUCKET: this.bucket, AWS_REGION: "us-east-1" },
      ...{ AWS_ENDPOINT_URL_S3: endpoint, AWS_ACCESS_KEY_ID: credentials.accessKeyId },
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      ...(this.#keys && { BACKUPCTL_ENCRYPTION_RECIPIENTS: this.#keys.recipient }),
    };
  }

  /** @param atOnce a real server, without the one that fails in front of it. */
  #access(atOnce: boolean) {
    const endpoint = atOnce && this.#real?.options.endpoint || this.#server.endpoint;
    return { endpoint, credentials: this.#real?.options.credentials ?? SMALL_SERVER_KEYS };
  }
}

for (const target of targets()) {
  const { name, segments, kills } = target;
  Deno.test(`of pushes to ${name} under faults and ${kills} SIGKILLs, every acknowledged one is archived`, async () => {
    await using pusher = await Pusher.begin(target);
    while (pusher.pushed < segments || pusher.kills < kills) await pusher.next();
    await pusher.check();
    const { seed, pushed, calls, faults } = pusher;
    reportCampaign({
      ...{ what: `wal-push to ${name}, killed under faults: all acknowledged archived`, seed },
      n: pushed,
      outcome: `${calls} calls, ${pusher.kills} killed, ${faults} faults; 0 lost, 0 different`,
    });
    assert.ok(faults > 0, `seed ${seed}: nothing went wrong`);
  });
}
