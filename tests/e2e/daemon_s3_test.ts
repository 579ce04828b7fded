/**
 * The daemon with its repository on S3 over TLS: scheduled backups, an increment, a prune and a
 * verify, what the pages say of them, and an outage of the store in which the daemon is stopped and
 * started. On each real server that `BACKUPCTL_TEST_S3_ENDPOINT` names with https, or else on the
 * small server.
 */
import assert from "node:assert/strict";
import { Receiver } from "../support/alerts/receiver.ts";
import { type Daemon, DaemonFolder } from "../support/daemon_rig.ts";
import {
  createBucket,
  type LightServer,
  realServers,
  SMALL_SERVER_KEYS,
  startTlsServer,
} from "../support/light_stores.ts";
import { readMetrics } from "../support/metrics_page.ts";
import { type Cluster, startCluster } from "../support/postgres_cluster.ts";
import { Severable } from "../support/severable.ts";

const SMALL = "the small S3 server";
/** Milliseconds that anything may take here. */
const PATIENCE = 180_000;
/** The same for the end of a daemon: half a minute, and what a slow machine adds. */
const DRAIN = 45_000;

/** A server, and how to end it. */
interface Place extends AsyncDisposable {
  readonly server: LightServer;
}

/** The real ones over TLS; without any the small one. */
function places(): readonly { readonly name: string; readonly open: () => Promise<Place> }[] {
  const real = realServers().filter(({ options }) => options.endpoint?.startsWith("https:"));
  if (real.length === 0) return [{ name: SMALL, open: smallPlace }];
  return real.map((server) => ({
    name: server.name,
    open: () => Promise.resolve({ server, [Symbol.asyncDispose]: () => Promise.resolve() }),
  }));
}

async function smallPlace(): Promise<Place> {
  const folder = await Deno.makeTempDir();
  const { server } = await startTlsServer(folder);
  const options = {
    ...{ endpoint: server.endpoint, region: "us-east-1", credentials: SMALL_SERVER_KEYS },
    caFile: `${folder}/ca.pem`,
    caCerts: [await Deno.readTextFile(`${folder}/ca.pem`)],
  };
  return {
    server: { name: SMALL, kmsKey: undefined, options },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Has the daemon look at everything, again and again, until something is found. */
async function lookUntil<T>(
  daemon: Daemon,
  what: string,
  find: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const end = performance.now() + PATIENCE;
  while (performance.now() < end) {
    const found = await find();
    if (found !== undefined) return found;
    daemon.signal("SIGHUP");
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  assert.fail(`${what} did not come:\n${daemon.text}`);
}

interface World {
  readonly cluster: Cluster;
  readonly folder: DaemonFolder;
  readonly hook: Receiver;
  readonly way: Severable;
  readonly server: LightServer;
  readonly bucket: string;
}

function settings({ cluster, hook, way, server, bucket }: World, schedule: readonly string[]) {
  const { credentials, region, caFile } = server.options;
  return [
    `repository: { type: s3, bucket: ${bucket}, endpoint: "https://127.0.0.1:${way.port}", ` +
    `region: ${region}, path_style: true, ca_file: ${caFile}, ` +
    `access_key_id: ${credentials!.accessKeyId}, ` +
    `secret_access_key: ${credentials!.secretAccessKey} }`,
    `postgres: { host: 127.0.0.1, port: ${cluster.port}, user: ${cluster.user} }`,
    'retention: "last-retain=20"',
    "listen: 127.0.0.1:0",
    "alerts:",
    `  webhooks: [{ url: "http://127.0.0.1:${hook.port}/" }]`,
    "  resolve_after: 1s",
    "schedule:",
    ...schedule,
    "",
  ].join("\n");
}

const OF_BACKUPS = "--method physical --fast-checkpoint";
/** The first backup: without it the others find nothing. */
const FULL = [`  - { name: full, cron: "*/12 * * * * *", run: "backup full ${OF_BACKUPS}" }`];
/** One of each kind in turn, so that they need not wait for each other. */
const ALL = [
  ...FULL,
  '  - { name: increment, cron: "4-59/12 * * * * *", run: "backup incremental --fast-checkpoint" }',
  '  - { name: prune, cron: "2-59/12 * * * * *", run: prune }',
  '  - { name: verify, cron: "8-59/12 * * * * *", run: verify }',
];
/** While the store is away nothing begins, and when it is back this does. */
const TICK = ['  - { name: tick, cron: "* * * * * *", run: version }'];

/** The notices of a rule that people were sent, by event. */
function told({ requests }: Receiver, rule: string): readonly string[] {
  return requests.flatMap(({ body }) => JSON.parse(body).alerts)
    .filter((alert: { rule: string }) => alert.rule === rule)
    .map(({ event, subject }: { event: string; subject: string }) => `${event} ${subject}`);
}

for (const { name, open } of places()) {
  Deno.test(`the daemon keeps its schedule on ${name} over TLS, and outlives an outage`, async () => {
    await using place = await open();
    const { server } = place;
    const bucket = await bucketOn(server);
    const { hostname, port } = new URL(server.options.endpoint!);
    await using way = new Severable({ hostname, port: Number(port) });
    await using cluster = await startCluster({ settings: { wal_level: "replica" } });
    await cluster.query("create table t as select generate_series(1, 10000) as n");
    await using hook = new Receiver();
    await using folder = await DaemonFolder.make();
    const world: World = { cluster, folder, hook, way, server, bucket };
    await keepsItsSchedule(world);
    await outlivesAnOutage(world);
  });
}

/** Everything that is scheduled runs and is shown; then the store is gone, and the daemon ends. */
async function keepsItsSchedule(world: World): Promise<void> {
  const { folder, way, server } = world;
  await Deno.writeTextFile(folder.config, settings(world, FULL), { mode: 0o600 });
  await using daemon = folder.start();
  const pages = await pagesOf(daemon);
  await ended(daemon, "full");
  await Deno.writeTextFile(folder.config, settings(world, ALL));
  daemon.signal("SIGHUP");
  await Promise.all(["increment", "prune", "verify"].map((entry) => ended(daemon, entry)));
  await lookUntil(daemon, "both kinds of backups", async () => {
    const kinds = ["full", "incremental"].map((kind) => pages.value("backups", kind));
    return (await Promise.all(kinds)).every((count) => (count ?? 0) > 0) || undefined;
  });
  const html = await pages.html();
  for (const text of ["completo", "incremental", "prune", "verify", "com sucesso"]) {
    assert.ok(html.includes(text), `${text} is not on the page`);
  }
  assert.equal(await pages.value("part_up", "repository"), 1);
  const failed = daemon.events.filter(({ event }) => event === "schedule.failed");
  assert.deepEqual(failed.map(({ message }) => message), []);
  await Deno.writeTextFile(folder.config, settings(world, TICK));
  await lookUntil(
    daemon,
    "the other schedule",
    () => pages.value("schedule_next_run_timestamp_seconds", "tick"),
  );
  way.sever();
  const begun = performance.now();
  daemon.signal("SIGTERM");
  assert.equal(await daemon.status(), 0, daemon.text);
  assert.ok(performance.now() - begun < DRAIN, "it did not end in time without its store");
  assert.ok(!daemon.text.includes(server.options.credentials!.secretAccessKey));
}

/** A daemon that begins while the store is away says so, begins nothing, and goes on later. */
async function outlivesAnOutage({ folder, way, hook }: World): Promise<void> {
  await using daemon = folder.start();
  const pages = await pagesOf(daemon);
  const notice = (text: string) => () => told(hook, "unreachable").find((one) => one === text);
  await lookUntil(daemon, "the alert", notice("firing repository"));
  assert.equal(await pages.value("part_up", "repository"), 0);
  assert.match(await pages.html(), /<b>o repositório<\/b>/);
  assert.equal(await pages.health(), 200);
  assert.deepEqual(daemon.events.filter(({ event }) => event === "schedule.fired"), []);
  way.mend();
  await lookUntil(daemon, "the end of the alert", notice("resolved repository"));
  await daemon.until("schedule.finished");
  assert.equal(await pages.value("part_up", "repository"), 1);
  daemon.signal("SIGTERM");
  assert.equal(await daemon.status(), 0, daemon.text);
}

/** The small server has one bucket. */
async function bucketOn(server: LightServer): Promise<string> {
  if (server.name === SMALL) return "bucket";
  const bucket = `daemon-${crypto.randomUUID()}`;
  await createBucket(server, bucket);
  return bucket;
}

/** What a daemon's listener shows. */
async function pagesOf(daemon: Daemon) {
  const address = `http://${(await daemon.until("daemon.started"))["listen"]}`;
  const text = async (path: string) => await (await fetch(address + path)).text();
  return {
    html: () => text("/?lang=pt"),
    health: async () => {
      const response = await fetch(`${address}/healthz`);
      await response.body?.cancel();
      return response.status;
    },
    /** Of the sample with such a label; undefined until there is one. */
    value: async (family: string, label: string) => {
      const samples = readMetrics(await text("/metrics"), "text").get(`backupctl_${family}`)
        ?.samples;
      return samples?.find(({ labels }) => [...labels.values()].includes(label))?.value;
    },
  };
}

/** The first end of an entry. */
async function ended(daemon: Daemon, entry: string): Promise<void> {
  for (let count = 1;; count++) {
    if ((await daemon.until("schedule.finished", count))["entry"] === entry) return;
  }
}
