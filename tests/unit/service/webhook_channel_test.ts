import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { Heartbeat } from "../../../src/service/alerts/channels/heartbeat.ts";
import type { TargetAddress } from "../../../src/service/alerts/channels/target_address.ts";
import {
  WebhookChannel,
  type WebhookOptions,
} from "../../../src/service/alerts/channels/webhook_channel.ts";
import { DeliveryError } from "../../../src/service/alerts/delivery_error.ts";
import { aMessage, aNotice } from "../../support/alerts/messages.ts";
import { Receiver } from "../../support/alerts/receiver.ts";
import { makeCertificates } from "../../support/certificates.ts";

const TOKEN = "T0canary/B0canary/5ecret-of-the-hook";
const SECRET = "canary-shared-5ecret";
const NOW = new Date("2026-11-23T02:05:00.000Z");
const folder = await Deno.makeTempDir();
const files = await makeCertificates(folder, "DNS:hooks.test");
const [cert, key, ca, otherCa] = await Promise.all(
  [files.serverCert, files.serverKey, files.ca, files.otherCa].map((file) =>
    Deno.readTextFile(file)
  ),
);
await Deno.remove(folder, { recursive: true });
const tls = { cert: cert!, key: key! };
const HERE: TargetAddress = { address: "127.0.0.1", family: 4 };

function hook(receiver: Receiver, options: Partial<WebhookOptions> = {}): WebhookChannel {
  return new WebhookChannel({
    name: "hook",
    url: `http://hooks.test:${receiver.port}/services/${TOKEN}?key=${SECRET}`,
    kind: "generic",
    repeatMs: 86_400_000,
    now: () => NOW,
    timeoutMs: 20_000,
    resolver: () => Promise.resolve([HERE]),
    ...options,
  });
}

function secureUrl({ port }: Receiver, host = "hooks.test"): string {
  return `https://${host}:${port}/services/${TOKEN}`;
}

/** The failure of a post, which must hold no secret in any of its texts. */
async function failure(sending: Promise<void>): Promise<DeliveryError> {
  const error = await sending.then(() => assert.fail("it was sent"), (thrown) => thrown);
  assert.ok(error instanceof DeliveryError, String(error));
  assert.doesNotMatch(`${error.message} ${error.hint} ${error.stack}`, /canary/);
  return error;
}

Deno.test("WebhookChannel posts the message, signed over its time and body", async () => {
  await using receiver = new Receiver();
  await hook(receiver, { secret: SECRET }).send(aMessage());
  const [request] = receiver.requests;
  assert.equal(request?.method, "POST");
  assert.equal(request?.path, `/services/${TOKEN}?key=${SECRET}`);
  assert.equal(request?.headers.get("host"), `hooks.test:${receiver.port}`);
  assert.equal(request?.headers.get("x-backupctl-delivery"), aMessage().id);
  const time = request!.headers.get("x-backupctl-timestamp");
  assert.equal(time, String(NOW.getTime() / 1000));
  const digest = createHmac("sha256", SECRET).update(`${time}.${request!.body}`).digest("hex");
  assert.equal(request!.headers.get("x-backupctl-signature"), `sha256=${digest}`);
  const body = JSON.parse(request!.body);
  assert.equal(body.schema, "backupctl.alert/1");
  assert.equal(body.alerts[0].key, "full_too_old/full");
  assert.ok(!request!.body.includes(SECRET));
});

Deno.test("WebhookChannel posts over TLS to the address that it has resolved", async () => {
  await using receiver = new Receiver([202], tls);
  await hook(receiver, { url: secureUrl(receiver), ca: ca! }).send(aMessage());
  assert.equal(receiver.requests.length, 1);
});

Deno.test("WebhookChannel refuses a certificate of another authority, and sends nothing", async () => {
  await using receiver = new Receiver([200], tls);
  const error = await failure(
    hook(receiver, { url: secureUrl(receiver), ca: otherCa! }).send(aMessage()),
  );
  assert.match(error.message, /cannot be reached/);
  assert.match(error.hint ?? "", /ca_file/);
  assert.equal(receiver.requests.length, 0);
});

Deno.test("WebhookChannel refuses a certificate of another name, and sends nothing", async () => {
  await using receiver = new Receiver([200], tls);
  const url = secureUrl(receiver, "other.test");
  await failure(hook(receiver, { url, ca: ca! }).send(aMessage()));
  assert.equal(receiver.requests.length, 0);
});

Deno.test("WebhookChannel refuses a certificate that is not of the address", async () => {
  await using receiver = new Receiver([200], tls);
  await failure(
    hook(receiver, { url: secureUrl(receiver, "127.0.0.1"), ca: ca! }).send(aMessage()),
  );
  assert.equal(receiver.requests.length, 0);
});

Deno.test("WebhookChannel does not speak TLS to a receiver without, nor the other way round", async () => {
  await using plain = new Receiver();
  await failure(hook(plain, { url: secureUrl(plain), ca: ca! }).send(aMessage()));
  await using secure = new Receiver([200], tls);
  await failure(hook(secure).send(aMessage()));
  assert.equal(plain.requests.length + secure.requests.length, 0);
});

for (const status of [301, 302, 303, 307, 308]) {
  Deno.test(`WebhookChannel does not follow a redirect (${status})`, async () => {
    await using target = new Receiver();
    const location = `http://127.0.0.1:${target.port}/elsewhere`;
    await using receiver = new Receiver([new Response(null, { status, headers: { location } })]);
    const error = await failure(hook(receiver).send(aMessage()));
    assert.match(error.message, new RegExp(`answered ${status}, a redirect`));
    assert.equal(error.refused, true);
    assert.equal(target.requests.length, 0);
  });
}

const STATUSES = [[400, true], [401, true], [404, true], [408, false], [429, false], [500, false], [
  503,
  false,
]] as const;

for (const [status, refused] of STATUSES) {
  Deno.test(`WebhookChannel takes ${status} for ${refused ? "final" : "passing"}`, async () => {
    await using receiver = new Receiver([status]);
    const error = await failure(hook(receiver).send(aMessage()));
    assert.equal(error.refused, refused);
  });
}

Deno.test("WebhookChannel passes Retry-After on", async () => {
  const headers = { "retry-after": "120" };
  await using receiver = new Receiver([new Response(null, { status: 429, headers })]);
  assert.equal((await failure(hook(receiver).send(aMessage()))).retryAfterMs, 120_000);
});

Deno.test("WebhookChannel shows nothing of an answer that repeats what it was sent", async () => {
  await using receiver = new Receiver([new Response(`${TOKEN} ${SECRET}`, { status: 403 })]);
  await failure(hook(receiver, { secret: SECRET }).send(aMessage()));
});

Deno.test("WebhookChannel gives up a receiver that does not answer", async () => {
  await using receiver = new Receiver(["never"]);
  const start = performance.now();
  const error = await failure(hook(receiver, { timeoutMs: 200 }).send(aMessage()));
  assert.match(error.message, /did not answer within 0.2 s/);
  assert.ok(performance.now() - start < 15_000);
});

Deno.test("WebhookChannel gives up a receiver that trickles its head", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.Conn[] = [];
  const serving = (async () => {
    for await (const connection of listener) {
      connections.push(connection);
      await connection.write(new TextEncoder().encode("HTTP/1.1 2")).catch(() => {});
    }
  })();
  const stub = { port: (listener.addr as Deno.NetAddr).port } as Receiver;
  await failure(hook(stub, { timeoutMs: 200 }).send(aMessage()));
  listener.close();
  await serving;
  for (const connection of connections) connection.close();
});

Deno.test("WebhookChannel reads no answer without end", async () => {
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
  });
  await using receiver = new Receiver([new Response(endless)]);
  await hook(receiver, { timeoutMs: 20_000 }).send(aMessage());
});

Deno.test("WebhookChannel says that nobody listens", async () => {
  const receiver = new Receiver();
  const stub = { port: receiver.port } as Receiver;
  await receiver[Symbol.asyncDispose]();
  assert.match((await failure(hook(stub).send(aMessage()))).message, /cannot be reached/);
});

Deno.test("WebhookChannel tries the other address of a name when nobody listens at the first", async () => {
  await using receiver = new Receiver();
  const resolver = () =>
    Promise.resolve<TargetAddress[]>([{ address: "127.0.0.2", family: 4 }, HERE]);
  await hook(receiver, { resolver }).send(aMessage());
  assert.equal(receiver.requests.length, 1);
});

const FORBIDDEN_ADDRESSES = [
  "169.254.169.254",
  "169.254.0.1",
  "0.0.0.0",
  "224.0.0.1",
  "255.255.255.255",
  "100.100.100.200",
  "2852039166", // 169.254.169.254 in one number, which URLs allow
  "0xa9.0xfe.0xa9.0xfe",
  "[fe80::1]",
  "[febf::1]",
  "[fd00:ec2::254]",
  "[::ffff:169.254.169.254]",
  "[::169.254.169.254]",
  "[64:ff9b::a9fe:a9fe]",
  "[::]",
  "[ff02::1]",
];

for (const host of FORBIDDEN_ADDRESSES) {
  Deno.test(`WebhookChannel never contacts ${host}`, async () => {
    const channel = new WebhookChannel({
      name: "hook",
      url: `http://${host}/latest/meta-data/${TOKEN}`,
      kind: "generic",
      repeatMs: 1,
      now: () => NOW,
      timeoutMs: 2_000,
    });
    const error = await failure(channel.send(aMessage()));
    assert.match(error.message, /never sent to/);
  });
}

Deno.test("WebhookChannel never contacts a link-local address behind a name", async () => {
  await using receiver = new Receiver();
  const resolver = () =>
    Promise.resolve<TargetAddress[]>([
      { address: "169.254.169.254", family: 4 },
      { address: "fe80::1%eth0", family: 6 },
    ]);
  assert.match((await failure(hook(receiver, { resolver }).send(aMessage()))).message, /never/);
});

Deno.test("WebhookChannel asks for an address once, so a second answer changes nothing", async () => {
  await using receiver = new Receiver();
  let asked = 0;
  const resolver = () => {
    asked++;
    return Promise.resolve<TargetAddress[]>(
      asked === 1 ? [HERE] : [{ address: "169.254.169.254", family: 4 }],
    );
  };
  await hook(receiver, { resolver }).send(aMessage());
  assert.equal(asked, 1);
  assert.equal(receiver.requests.length, 1);
});

Deno.test("WebhookChannel gives up a resolver that does not answer", async () => {
  await using receiver = new Receiver();
  const resolver = () => new Promise<never>(() => {});
  const error = await failure(hook(receiver, { resolver, timeoutMs: 100 }).send(aMessage()));
  assert.match(error.message, /did not answer/);
});

Deno.test("Heartbeat asks its address and takes no other status than 2xx", async () => {
  await using receiver = new Receiver([200, 500]);
  const heartbeat = new Heartbeat({ url: `http://127.0.0.1:${receiver.port}/ping/${TOKEN}` });
  await heartbeat.beat();
  assert.deepEqual(receiver.requests.map(({ method, path }) => [method, path]), [[
    "GET",
    `/ping/${TOKEN}`,
  ]]);
  await failure(heartbeat.beat());
  assert.doesNotMatch(heartbeat.target, /canary/);
});

Deno.test("WebhookChannel tells where it leads without its secret", async () => {
  await using receiver = new Receiver();
  assert.equal(hook(receiver).target, `generic at http://hooks.test:${receiver.port}`);
});

/** What a preset sends for a message. */
async function posted(
  kind: WebhookOptions["kind"],
  { message = aMessage(), secret }: {
    readonly message?: ReturnType<typeof aMessage>;
    readonly secret?: string;
  } = {},
) {
  await using receiver = new Receiver();
  await hook(receiver, { kind, ...(secret !== undefined && { secret }) }).send(message);
  return receiver.requests.map(({ body, headers }) => ({ body: JSON.parse(body), headers }));
}

const RESOLVED = aNotice({ event: "resolved" });

Deno.test("Slack gets blocks whose text cannot ring everybody", async () => {
  const notice = aNotice({ title: "label <!channel> & <https://evil.example|here>" });
  const [sent] = await posted("slack", { message: aMessage({ notices: [notice] }) });
  const { body } = sent!;
  assert.doesNotMatch(JSON.stringify(body), /<!channel>|<https/);
  assert.match(body.blocks[0]!.text!.text, /&lt;!channel&gt; &amp;/);
  assert.match(body.text, /^main: ALERT: /);
});

Deno.test("Slack gets 50 blocks of 3000 characters at most", async () => {
  const notices = Array.from({ length: 400 }, () => aNotice({ title: "x".repeat(9_000) }));
  const [sent] = await posted("slack", { message: aMessage({ notices }) });
  assert.ok(sent!.body.blocks.length <= 50);
  assert.ok(
    sent!.body.blocks.every((block: { text?: { text: string } }) =>
      (block.text?.text.length ?? 0) <= 3_000
    ),
  );
});

Deno.test("Teams gets an Adaptive Card of less than 28 KB, with Markdown escaped", async () => {
  const notices = Array.from({ length: 400 }, () => aNotice({ title: "a_b*c ".repeat(500) }));
  const [sent] = await posted("teams", { message: aMessage({ notices }) });
  const { attachments: [card] } = sent!.body;
  assert.equal(card.contentType, "application/vnd.microsoft.card.adaptive");
  assert.equal(card.content.type, "AdaptiveCard");
  assert.ok(JSON.stringify(sent!.body).length < 28_000, `${JSON.stringify(sent!.body).length}`);
  assert.match(card.content.body[1].text, /a\\_b\\\*c/);
});

Deno.test("Discord gets embeds that mention nobody and 6000 characters at most", async () => {
  const notices = Array.from(
    { length: 40 },
    () => aNotice({ title: "@everyone ".repeat(200), detail: "y".repeat(5_000) }),
  );
  const [sent] = await posted("discord", { message: aMessage({ notices }) });
  const { embeds, allowed_mentions, content } = sent!.body;
  assert.deepEqual(allowed_mentions, { parse: [] });
  assert.ok(embeds.length <= 10);
  const characters = embeds.reduce(
    (sum: number, { title, description }: { title: string; description: string }) =>
      sum + title.length + description.length,
    0,
  );
  assert.ok(characters <= 6_000, `${characters}`);
  assert.ok(content.length <= 2_000);
});

Deno.test("PagerDuty gets one event for each alert, and the same key for its end", async () => {
  const other = aNotice({ key: "wal_gap/x", subject: "x", rule: "wal_gap", severity: "warning" });
  const message = aMessage({ notices: [aNotice(), other] });
  const [first, second] = await posted("pagerduty", { message, secret: SECRET });
  assert.equal(first!.body.routing_key, SECRET);
  assert.equal(first!.body.event_action, "trigger");
  assert.equal(first!.body.payload.severity, "critical");
  assert.equal(second!.body.payload.severity, "warning");
  assert.notEqual(first!.body.dedup_key, second!.body.dedup_key);
  const [over] = await posted("pagerduty", {
    message: aMessage({ notices: [RESOLVED] }),
    secret: SECRET,
  });
  assert.equal(over!.body.event_action, "resolve");
  assert.equal(over!.body.dedup_key, first!.body.dedup_key);
  assert.equal(over!.headers.get("x-backupctl-signature"), null);
});

Deno.test("PagerDuty gets keys and summaries that it takes, however long a subject is", async () => {
  const notice = aNotice({ key: "k".repeat(900), title: "t".repeat(5_000) });
  const [sent] = await posted("pagerduty", {
    message: aMessage({ notices: [notice] }),
    secret: SECRET,
  });
  assert.ok(sent!.body.dedup_key.length <= 255);
  assert.ok(sent!.body.payload.summary.length <= 1_024);
});

Deno.test("PagerDuty without a routing key is refused before anything is sent", async () => {
  await using receiver = new Receiver();
  const error = await failure(hook(receiver, { kind: "pagerduty" }).send(aMessage()));
  assert.match(error.message, /no routing key/);
  assert.equal(receiver.requests.length, 0);
});

Deno.test("Alertmanager gets alerts that last until after the next repeat, and end when it is over", async () => {
  const [sent] = await posted("alertmanager", { secret: SECRET });
  const [alert] = sent!.body;
  assert.equal(sent!.headers.get("authorization"), `Bearer ${SECRET}`);
  assert.deepEqual(alert.labels, {
    alertname: "backupctl_full_too_old",
    cluster: "main",
    subject: "full",
    severity: "critical",
  });
  assert.equal(Date.parse(alert.endsAt), Date.parse(aNotice().at) + 2 * 86_400_000);
  const [over] = await posted("alertmanager", { message: aMessage({ notices: [RESOLVED] }) });
  assert.equal(over!.body[0].endsAt, RESOLVED.at);
});
