import assert from "node:assert/strict";
import { withAlertFacts } from "../../../src/cli/alerts/alert_facts.ts";
import { openAlerts } from "../../../src/cli/alerts/open_alerts.ts";
import { recordCheck } from "../../../src/catalog/checks.ts";
import { type Config, loadConfig } from "../../../src/config/config.ts";
import { systemClock } from "../../../src/domain/clock.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import { aRepository, aSnapshot } from "../../support/alerts/snapshots.ts";
import { makeCertificates } from "../../support/certificates.ts";
import { samplePhysical } from "../../support/manifests.ts";

const HOUR = 3_600_000;

async function configOf(text: string): Promise<Config> {
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, text);
  await Deno.chmod(file, 0o600);
  const { config } = await loadConfig({ file, env: {} });
  await Deno.remove(file);
  return config;
}

async function open(text: string) {
  return await openAt({ HOME: "/dev/null" }, text);
}

async function openAt(env: Readonly<Record<string, string>>, text: string) {
  return await openAlerts(await configOf(text), { env, clock: systemClock });
}

Deno.test("openAlerts() names channels by their name, or by kind and place", async () => {
  const { channels, heartbeat } = await open(`
alerts:
  email: { host: mail.test, from: a@example.com, to: [b@example.com, "C <c@example.com>"] }
  webhooks:
    - { url: "https://a.test/SECRET", kind: slack }
    - { url: "https://b.test/SECRET", name: ours }
    - { url: "https://c.test/SECRET", kind: slack }
  heartbeat: { url: "https://d.test/SECRET" }
`);
  assert.deepEqual(channels.map(({ name }) => name), ["email", "slack-1", "ours", "slack-3"]);
  assert.equal(heartbeat?.target, "https://d.test");
  assert.doesNotMatch(channels.map(({ target }) => target).join(), /SECRET/);
});

Deno.test("openAlerts() tells two channels of one name apart", async () => {
  const { channels } = await open(`
alerts:
  webhooks: [{ url: "https://a.test/", name: ops }, { url: "https://b.test/", name: ops }]
`);
  assert.deepEqual(channels.map(({ name, target }) => [name, target]), [
    ["ops", "generic at https://a.test"],
    ["ops-2", "generic at https://b.test"],
  ]);
});

Deno.test("openAlerts() gives the rules the limits of the configuration", async () => {
  const plain = await open("cluster: main\n");
  assert.equal(plain.limits.fullMaxAge, 192 * HOUR);
  assert.equal(plain.limits.pruneMaxAge, undefined, "there is nothing to prune by");
  assert.equal(plain.limits.drillMaxAge, undefined);
  const { limits } = await open(`
retention: "full-retain=3"
alerts: { rules: { full_max_age: 26h, disk_free: 5%, drill_max_age: 35d, schedule_late: 1h } }
`);
  assert.deepEqual(
    [limits.fullMaxAge, limits.diskFree, limits.drillMaxAge, limits.scheduleLate],
    [26 * HOUR, 0.05, 840 * HOUR, HOUR],
  );
  assert.equal(limits.pruneMaxAge, 192 * HOUR);
});

const HOOK = 'alerts: { webhooks: [{ url: "https://a.test/" }] }\n';

Deno.test("openAlerts() keeps alerts in the state folder, and has nothing to warn of", async () => {
  const folder = await Deno.makeTempDir();
  const { unkept, manager } = await openAt({ STATE_DIRECTORY: folder }, HOOK);
  assert.equal(unkept, undefined);
  const finding = { rule: "disk_low", subject: "x", severity: "critical", title: "x" } as const;
  await manager.look({ findings: [finding], covers: () => true });
  const again = await openAt({ STATE_DIRECTORY: folder }, HOOK);
  assert.equal((await again.manager.openAlerts()).length, 1);
  assert.match(await Deno.readTextFile(`${folder}/main/alerts/alerts.json`), /disk_low/);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("openAlerts() names the folder that cannot be written, and why", async () => {
  const { unkept } = await openAt({ STATE_DIRECTORY: "/dev/null" }, HOOK);
  assert.match(
    unkept!,
    /^alerts cannot be kept in \/dev\/null\/main\/alerts \(Not a directory\): they are sent, /,
  );
});

Deno.test("openAlerts() says how to have a folder where none can be", async () => {
  const { unkept } = await openAt({}, HOOK);
  assert.match(unkept!, /^alerts have no folder to be kept in \(set HOME, .*\): they are sent, /);
});

Deno.test("openAlerts() has nothing to warn of where nobody is told anything", async () => {
  assert.equal((await openAt({ HOME: "/dev/null" }, "cluster: main\n")).unkept, undefined);
});

const WRONG = [
  { text: 'email: { host: h, from: "a b", to: [b@c.d] }', path: "alerts.email.from" },
  { text: 'email: { host: h, from: a@b.c, to: ["x@y.z, u@v.w"] }', path: "alerts.email.to[0]" },
  { text: "email: { host: h, from: a@b.c, to: [] }", path: "alerts.email.to" },
  { text: 'quiet: [{ from: "25:00", to: "07:00" }]', path: "alerts.quiet[0].from" },
  { text: 'quiet: [{ from: "22:00", to: "07:00", days: [Sunday] }]', path: "alerts.quiet[0].days" },
  { text: 'webhooks: [{ url: "ftp://x/" }]', path: "alerts.webhooks[0].url" },
  { text: 'webhooks: [{ url: "https://u:p@x/" }]', path: "alerts.webhooks[0].url" },
  { text: 'webhooks: [{ url: "https://x/", kind: slak }]', path: "alerts.webhooks[0].kind" },
];
for (const { text, path } of WRONG) {
  Deno.test(`the configuration refuses ${text}`, async () => {
    await assert.rejects(configOf(`alerts:\n  ${text}\n`), (error: Error) => {
      assert.ok(error.message.includes(path), error.message);
      return true;
    });
  });
}

Deno.test("withAlertFacts() reads when certificates end, and leaves out what is none", async () => {
  const folder = await Deno.makeTempDir();
  const { ca } = await makeCertificates(folder);
  const config = await configOf(`
repository: { type: directory, path: /r, ca_file: ${ca} }
postgres: { sslcert: /absent/client.pem }
`);
  const env = { HOME: folder, AWS_CREDENTIAL_EXPIRATION: "2026-12-01T00:00:00Z" };
  const signal = new AbortController().signal;
  const facts = await withAlertFacts(aSnapshot(), {
    config,
    env,
    store: new MemoryStore(),
    signal,
  });
  const [first, second, ...more] = facts.expiries!;
  assert.equal(first!.what, `the certificate ${ca}`);
  const days = (first!.at.getTime() - Date.now()) / (24 * HOUR);
  assert.ok(days > 28 && days < 31, `${days} days`);
  assert.deepEqual([second!.what, second!.at.toISOString(), more.length], [
    ...["the AWS credentials", "2026-12-01T00:00:00.000Z", 0],
  ]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("withAlertFacts() finds damage that nothing since took back, of backups that are there", async () => {
  const store = new MemoryStore();
  const systemIdentifier = "7345678901234567890";
  const backups = ["20261120T020000Z-F", "20261121T020000Z-F", "20261122T020000Z-F"]
    .map((id) => samplePhysical({ id, systemIdentifier }));
  const check = async (
    subject: string,
    outcome: "ok" | "damaged" | "failed",
    { kind = "verified", hour }: { kind?: "verified" | "drilled"; hour: number },
  ) => {
    const finishedAt = new Date(Date.UTC(2026, 10, 23, hour));
    const place = { cluster: "main", systemIdentifier, kind, subject };
    await recordCheck(store, { ...place, outcome, finishedAt, details: {} });
  };
  await check(backups[0]!.id, "damaged", { hour: 1 });
  await check(backups[1]!.id, "damaged", { hour: 1 });
  await check(backups[1]!.id, "ok", { hour: 2 });
  await check(backups[2]!.id, "failed", { kind: "drilled", hour: 3 });
  await check("20260101T020000Z-F", "damaged", { hour: 1 });
  await check("wal", "damaged", { hour: 4 });
  const config = await configOf("cluster: main\n");
  const snapshot = aSnapshot({ repository: aRepository({ backups }) });
  const signal = new AbortController().signal;
  const { damaged } = await withAlertFacts(snapshot, { config, env: {}, store, signal });
  assert.deepEqual(damaged!.map(({ subject, by }) => [subject, by]), [
    [backups[0]!.id, "verify"],
    [backups[2]!.id, "drill"],
    ["wal", "verify"],
  ]);
});
