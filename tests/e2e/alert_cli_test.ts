/** Alerts of commands that cron starts, sent by the program itself to real receivers. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { MailServer } from "../support/alerts/mail_server.ts";
import { Receiver, type ReceiverAnswer } from "../support/alerts/receiver.ts";
import { makeCertificates } from "../support/certificates.ts";
import { startCluster } from "../support/postgres_cluster.ts";
import { type CliResult, runCli } from "../support/run_cli.ts";

const CANARIES = {
  password: "canary-1-of-the-mailer",
  secret: "canary-2-of-the-hook",
  token: "canary-3-in-the-path",
};

/** Receivers, a configuration that names them, and a server that does not answer. */
async function startRig(answers: readonly ReceiverAnswer[] = [200]) {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-alerts-" });
  const files = await makeCertificates(folder);
  const [cert, key] = await Promise.all(
    [files.serverCert, files.serverKey].map((file) => Deno.readTextFile(file)),
  );
  const tls = { cert: cert!, key: key! };
  const mail = await MailServer.start({
    ...tls,
    login: { user: "mailer", password: CANARIES.password },
  });
  const hook = new Receiver(answers, tls);
  const beats = new Receiver();
  await Deno.writeTextFile(`${folder}/password`, `${CANARIES.password}\n`, { mode: 0o600 });
  await Deno.writeTextFile(`${folder}/secret`, `${CANARIES.secret}\n`, { mode: 0o600 });
  const config = `${folder}/config.yaml`;
  const settings = `
repository: { type: directory, path: ${folder}/repository }
log: { level: DEBUG, file: ${folder}/backupctl.log }
metadata: { url: off }
alerts:
  email:
    host: 127.0.0.1
    port: ${mail.port}
    user: mailer
    password_file: ${folder}/password
    from: backupctl@example.com
    to: [dba@example.com]
    ca_file: ${files.ca}
  webhooks:
    - name: ops
      url: "https://127.0.0.1:${hook.port}/${CANARIES.token}"
      secret_file: ${folder}/secret
      ca_file: ${files.ca}
  heartbeat: { url: "http://127.0.0.1:${beats.port}/${CANARIES.token}" }
`;
  await Deno.writeTextFile(config, settings, { mode: 0o600 });
  await Deno.mkdir(`${folder}/repository`);
  const env = { HOME: folder, PG_HOST: "127.0.0.1", PG_PORT: "1", PG_USER: "nobody" };
  return {
    ...{ folder, mail, hook, beats, config, settings },
    run: async (line: string, more: Readonly<Record<string, string>> = {}) => {
      const words = [...line.split(" "), "--config", config];
      return await runCli(words, { env: { ...env, ...more } });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([mail, hook, beats].map((one) => one[Symbol.asyncDispose]()));
      await Deno.remove(folder, { recursive: true });
    },
  };
}

type Rig = Awaited<ReturnType<typeof startRig>>;

/** No secret in what was printed, logged, kept or sent. */
async function assertSecretsKept({ folder, mail, hook }: Rig, results: readonly CliResult[]) {
  const texts = results.map(({ stdout, stderr }) => stdout + stderr);
  texts.push(await Deno.readTextFile(`${folder}/backupctl.log`).catch(() => ""));
  const state = `${folder}/.local/state/backupctl/main/alerts`;
  for await (const { name } of Deno.readDir(state)) {
    texts.push(await Deno.readTextFile(`${state}/${name}`));
  }
  texts.push(...mail.mails.map(({ raw }) => raw), ...hook.requests.map(({ body }) => body));
  for (const text of texts) assert.doesNotMatch(text, /canary/);
}

Deno.test("a backup that fails from cron tells by mail and webhook, and ends as it would have", async () => {
  await using rig = await startRig();
  const result = await rig.run("backup full --method logical -v");
  assert.equal(result.status, 5, result.stderr);
  assert.match(result.stderr, /^error: cannot reach PostgreSQL/m);
  assert.deepEqual(rig.mail.mails.map(({ encrypted, user, to }) => [encrypted, user, to]), [
    [true, "mailer", ["dba@example.com"]],
  ]);
  assert.match(rig.mail.mails[0]!.raw, /^Subject: \[backupctl\] main: ALERT: backup full failed:/m);
  const [request] = rig.hook.requests;
  const time = request!.headers.get("x-backupctl-timestamp");
  const digest = createHmac("sha256", CANARIES.secret).update(`${time}.${request!.body}`);
  assert.equal(request!.headers.get("x-backupctl-signature"), `sha256=${digest.digest("hex")}`);
  assert.equal(rig.beats.requests.length, 0, "a failed backup must not beat");
  const again = await rig.run("backup full --method logical");
  assert.equal(again.status, 5);
  assert.equal(rig.hook.requests.length, 1, "the same failure is told once");
  await assertSecretsKept(rig, [result, again]);
});

Deno.test("a backup that succeeds again tells so, and beats", async () => {
  await using rig = await startRig();
  await using cluster = await startCluster({});
  const server = {
    PG_PORT: String(cluster.port),
    PG_USER: cluster.user,
    PGSSLMODE: "disable",
  };
  assert.equal((await rig.run("backup full --method logical")).status, 5);
  const good = await rig.run("backup full --method logical", server);
  assert.equal(good.status, 0, good.stderr);
  const events = rig.hook.requests.map(({ body }) => JSON.parse(body).alerts[0].event);
  assert.deepEqual(events, ["firing", "resolved"]);
  assert.equal(rig.beats.requests.length, 1);
  assert.equal((await rig.run("backup full --method logical", server)).status, 0);
  assert.equal(rig.hook.requests.length, 2);
});

Deno.test("an alert that did not get through is sent with the next run", async () => {
  await using rig = await startRig([503, 503, 503, 503, 503, 200]);
  const start = performance.now();
  const first = await rig.run("backup full --method logical");
  assert.equal(first.status, 5);
  assert.ok(performance.now() - start < 25_000, "the command waited too long");
  assert.match(first.stderr, /no alert by ops so far: https:\/\/127\.0\.0\.1:\d+ answered 503/);
  const tried = rig.hook.requests.length;
  assert.ok(tried >= 2, `${tried} tries`);
  assert.equal(rig.mail.mails.length, 1, "the mail did not wait for the webhook");
  const state = `${rig.folder}/.local/state/backupctl/main/alerts`;
  const [waiting] = await waitingFiles(state);
  assert.ok(waiting, "it is kept");
  // The clock need not be waited for: what is kept says when, and this test makes it due.
  const item = JSON.parse(await Deno.readTextFile(`${state}/${waiting}`));
  item.pending.ops.notBefore = 0;
  await Deno.writeTextFile(`${state}/${waiting}`, JSON.stringify(item));
  while (rig.hook.requests.length < 5) {
    await rig.run("alert test --channel ops");
  }
  assert.equal((await rig.run("backup full --method logical")).status, 5);
  assert.deepEqual(await waitingFiles(state), []);
  assert.equal(JSON.parse(rig.hook.requests.at(-1)!.body).alerts[0].event, "firing");
  assert.equal(rig.mail.mails.length, 1);
  await assertSecretsKept(rig, [first]);
});

async function waitingFiles(state: string): Promise<readonly string[]> {
  const names = await Array.fromAsync(Deno.readDir(state), ({ name }) => name);
  return names.filter((name) => name.startsWith("message-"));
}

Deno.test("a receiver that never answers holds a failed backup up for ten seconds at most", async () => {
  await using rig = await startRig(["never"]);
  const start = performance.now();
  const result = await rig.run("backup full --method logical");
  assert.equal(result.status, 5);
  assert.ok(performance.now() - start < 20_000);
  assert.equal(rig.mail.mails.length, 1);
});

Deno.test("alert test sends through each channel and tells how each took it", async () => {
  await using rig = await startRig([200, 404]);
  const good = await rig.run("alert test");
  assert.equal(good.status, 0, good.stdout + good.stderr);
  assert.match(good.stdout, /^ok +email +dba@example.com by 127/m);
  assert.match(good.stdout, /^ok +ops +generic at https:\/\/127\.0\.0\.1:\d+$/m);
  assert.match(good.stdout, /^ok +heartbeat +http:\/\/127\.0\.0\.1:\d+$/m);
  assert.match(rig.mail.mails[0]!.raw, /^Subject: \[backupctl\] main: test/m);
  assert.equal(JSON.parse(rig.hook.requests[0]!.body).test, true);
  const bad = await rig.run("alert test --channel ops --output json");
  assert.equal(bad.status, 1);
  const { schema, ok, channels } = JSON.parse(bad.stdout);
  assert.deepEqual([schema, ok, channels.length], ["backupctl.alert_test/1", false, 1]);
  assert.match(channels[0].message, /answered 404/);
  assert.equal(rig.mail.mails.length, 1, "only the channel that was asked for");
  const unknown = await rig.run("alert test --channel op");
  assert.equal(unknown.status, 2);
  assert.match(unknown.stderr, /did you mean ops\?/);
  await assertSecretsKept({ ...rig }, [good, bad, unknown]).catch((error) => {
    // No state was kept: a test is no alert.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
});

Deno.test("alerts are sent where the state folder cannot be written, with one warning", async () => {
  await using rig = await startRig();
  const env = { STATE_DIRECTORY: rig.config };
  const warning = /alerts cannot be kept in \/\S+\/config\.yaml\/main\/alerts \(Not a directory\)/g;
  const failed = await rig.run("backup full --method logical", env);
  assert.equal(failed.status, 5, failed.stderr);
  assert.equal(failed.stderr.match(warning)?.length, 1, failed.stderr);
  assert.equal(rig.mail.mails.length, 1);
  assert.equal(JSON.parse(rig.hook.requests[0]!.body).alerts[0].event, "firing");
  const tested = await rig.run("alert test", env);
  assert.equal(tested.status, 0, tested.stdout + tested.stderr);
  assert.equal(tested.stderr.match(warning)?.length, 1, tested.stderr);
  assert.match(tested.stdout, /^ok +ops /m);
});

Deno.test("alert test without any channel says how to have one", async () => {
  const folder = await Deno.makeTempDir();
  const result = await runCli(["alert", "test"], { env: { HOME: folder } });
  assert.equal(result.status, 4);
  assert.match(result.stderr, /no channel is configured/);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a password file that is missing breaks its channel, and neither the others nor the backup", async () => {
  await using rig = await startRig();
  await Deno.remove(`${rig.folder}/password`);
  const result = await rig.run("backup full --method logical");
  assert.equal(result.status, 5);
  assert.equal(rig.hook.requests.length, 1);
  assert.match(result.stderr, /no alert by email so far: .*password cannot be read/);
});
