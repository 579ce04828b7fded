import assert from "node:assert/strict";
import {
  EmailChannel,
  type EmailOptions,
} from "../../../src/service/alerts/channels/email_channel.ts";
import { DeliveryError } from "../../../src/service/alerts/delivery_error.ts";
import { MailServer, type MailServerOptions } from "../../support/alerts/mail_server.ts";
import { aMessage, aNotice } from "../../support/alerts/messages.ts";
import { makeCertificates } from "../../support/certificates.ts";

const SECRET = "canary-5ecret-of-the-mailer";
const folder = await Deno.makeTempDir();
const files = await makeCertificates(folder, "DNS:mail.test");
const [cert, key, ca, otherCa] = await Promise.all(
  [files.serverCert, files.serverKey, files.ca, files.otherCa].map((file) =>
    Deno.readTextFile(file)
  ),
);
await Deno.remove(folder, { recursive: true });

function channel(server: MailServer, options: Partial<EmailOptions> = {}): EmailChannel {
  return new EmailChannel({
    name: "email",
    host: "mail.test",
    port: server.port,
    tls: "starttls",
    from: "backupctl <backupctl@example.com>",
    to: ["dba@example.com", "ops@example.com"],
    ca: ca!,
    timeoutMs: 20_000,
    resolver: () => Promise.resolve([{ address: "127.0.0.1", family: 4 }]),
    ...options,
  });
}

const withTls: MailServerOptions = { cert: cert!, key: key! };
const addressFiles = await (async () => {
  const folder = await Deno.makeTempDir();
  const made = await makeCertificates(folder, "IP:127.0.0.1");
  const texts = await Promise.all(
    [made.serverCert, made.serverKey, made.ca].map((file) => Deno.readTextFile(file)),
  );
  await Deno.remove(folder, { recursive: true });
  return { cert: texts[0]!, key: texts[1]!, ca: texts[2]! };
})();
const login = { user: "mailer", password: SECRET };

/** The failure of a mail, which must hold no secret in any of its texts. */
async function failure(sending: Promise<void>): Promise<DeliveryError> {
  const error = await sending.then(() => assert.fail("the mail was sent"), (thrown) => thrown);
  assert.ok(error instanceof DeliveryError, String(error));
  const { message, hint = "" } = error;
  assert.ok(!`${message} ${hint}`.includes(SECRET), message);
  return error;
}

Deno.test("EmailChannel hands a mail in by STARTTLS, after logging in", async () => {
  await using server = await MailServer.start({ ...withTls, login });
  await channel(server, login).send(aMessage());
  const [mail] = server.mails;
  assert.equal(mail?.encrypted, true);
  assert.equal(mail?.user, "mailer");
  assert.deepEqual(mail?.to, ["dba@example.com", "ops@example.com"]);
  assert.equal(mail?.from, "backupctl@example.com");
  assert.match(mail!.raw, /^Subject: \[backupctl\] main: ALERT: the newest full backup is 9/m);
  assert.match(mail!.raw, /^Message-ID: <0123456789abcdef0123456789abcdef@backupctl>/m);
  assert.match(mail!.raw, /^Auto-Submitted: auto-generated/m);
  assert.match(mail!.raw, /Content-Type: text\/plain/);
  assert.match(mail!.raw, /Content-Type: text\/html/);
  assert.ok(!mail!.raw.includes(SECRET));
});

Deno.test("EmailChannel hands a mail in by TLS from the start", async () => {
  await using server = await MailServer.start({ ...withTls, tls: "smtps", login });
  await channel(server, { tls: "smtps", ...login }).send(aMessage());
  assert.deepEqual(server.mails.map(({ encrypted, user }) => [encrypted, user]), [[
    true,
    "mailer",
  ]]);
});

Deno.test("EmailChannel hands a mail in without TLS when that is what is asked for", async () => {
  await using server = await MailServer.start({ tls: "none" });
  await channel(server, { tls: "none" }).send(aMessage());
  assert.deepEqual(server.mails.map(({ encrypted }) => encrypted), [false]);
});

Deno.test("EmailChannel says nothing to a server that offers no STARTTLS", async () => {
  await using server = await MailServer.start({ tls: "none", login });
  const error = await failure(channel(server, login).send(aMessage()));
  assert.match(error.message, /no encrypted connection/);
  assert.equal(server.attempts, 0);
  assert.equal(server.mails.length, 0);
});

for (const tls of ["starttls", "smtps"] as const) {
  Deno.test(`EmailChannel refuses a certificate of another authority (${tls})`, async () => {
    await using server = await MailServer.start({ ...withTls, tls });
    const error = await failure(channel(server, { tls, ca: otherCa! }).send(aMessage()));
    assert.match(error.message, /no encrypted connection/);
    assert.equal(server.attempts, 0);
  });

  Deno.test(`EmailChannel refuses a certificate of another name (${tls})`, async () => {
    await using server = await MailServer.start({ ...withTls, tls });
    const error = await failure(channel(server, { tls, host: "other.test" }).send(aMessage()));
    assert.match(error.message, /no encrypted connection/);
    assert.equal(server.attempts, 0);
  });
}

for (const tls of ["starttls", "smtps"] as const) {
  Deno.test(`EmailChannel takes a certificate of an address, and of no other (${tls})`, async () => {
    const { ca: own, ...identity } = addressFiles;
    await using server = await MailServer.start({ ...identity, tls });
    await channel(server, { tls, host: "127.0.0.1", ca: own }).send(aMessage());
    assert.equal(server.mails.length, 1);
    await failure(channel(server, { tls, ca: own }).send(aMessage()));
    await using other = await MailServer.start({ ...withTls, tls });
    await failure(channel(other, { tls, host: "127.0.0.1" }).send(aMessage()));
    assert.equal(server.attempts + other.attempts, 1);
  });
}

Deno.test("EmailChannel tells a wrong password from a server that is down", async () => {
  await using server = await MailServer.start({ ...withTls, login });
  const wrong = { user: "mailer", password: `${SECRET}-wrong` };
  const error = await failure(channel(server, wrong).send(aMessage()));
  assert.match(error.message, /refused the login with 535/);
});

for (const [code, refused] of [[451, false], [550, true]] as const) {
  Deno.test(`EmailChannel takes ${code} for ${refused ? "final" : "passing"}`, async () => {
    await using server = await MailServer.start({ ...withTls, login, answers: [code] });
    const error = await failure(channel(server, login).send(aMessage()));
    assert.equal(error.refused, refused);
    assert.match(error.message, new RegExp(`refused the mail with ${code}`));
  });
}

Deno.test("EmailChannel gives up a server that says nothing", async () => {
  await using server = await MailServer.start({ ...withTls, silent: true });
  const start = performance.now();
  const error = await failure(channel(server, { timeoutMs: 300 }).send(aMessage()));
  assert.match(error.message, /did not take the mail within 0.3 s/);
  assert.ok(performance.now() - start < 15_000);
});

Deno.test("EmailChannel gives up when it is told to", async () => {
  await using server = await MailServer.start({ ...withTls, silent: true });
  const signal = AbortSignal.timeout(100);
  await failure(channel(server).send(aMessage(), { signal }));
});

Deno.test("EmailChannel says that nobody listens", async () => {
  const server = await MailServer.start(withTls);
  const options = { port: server.port };
  await server[Symbol.asyncDispose]();
  const stub = { port: options.port } as MailServer;
  const error = await failure(channel(stub).send(aMessage()));
  assert.match(error.message, /cannot be reached/);
  assert.equal(error.refused, false);
});

Deno.test("EmailChannel never contacts a link-local address", async () => {
  await using server = await MailServer.start({ tls: "none" });
  const error = await failure(
    channel(server, { host: "169.254.169.254", tls: "none" }).send(aMessage()),
  );
  assert.match(error.message, /never sent to/);
});

Deno.test("EmailChannel keeps a hostile text from adding headers, markup or characters that hide", async () => {
  await using server = await MailServer.start({ tls: "none" });
  const title = 'x\r\nBcc: evil@example.com\r\n\r\n<img src="https://evil.example/x">\u202e\u0000';
  await channel(server, { tls: "none" }).send(
    aMessage({ notices: [aNotice({ title, detail: "<script>1</script>" })] }),
  );
  const { raw, to } = server.mails[0]!;
  assert.deepEqual(to, ["dba@example.com", "ops@example.com"]);
  assert.doesNotMatch(raw, /^Bcc:/mi);
  const markup = raw.slice(raw.indexOf("text/html"));
  assert.doesNotMatch(markup, /<img|<script/);
  assert.match(raw.replace(/=\r?\n/g, ""), /&lt;script&gt;/);
  assert.ok(!raw.includes("\u202e"));
});
