/** The daemon's alerts and its status page, as the program itself shows and sends them. */
import assert from "node:assert/strict";
import { openRepository } from "../../src/catalog/repository.ts";
import { DirectoryStore } from "../../src/storage/directory.ts";
import { Receiver } from "../support/alerts/receiver.ts";
import { spawnCli } from "../support/run_cli.ts";

/** Waits until something is there. */
async function until<T>(what: string, look: () => T | undefined | false): Promise<T> {
  const end = performance.now() + 120_000;
  while (performance.now() < end) {
    const found = look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${what} did not come`);
}

Deno.test("the daemon tells of what it finds, beats, and shows it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-daemon-" });
  await using hook = new Receiver([503, 200]);
  await using beats = new Receiver();
  await Deno.mkdir(`${folder}/repository`);
  const store = new DirectoryStore(`${folder}/repository`);
  await openRepository(store, { cluster: "main" }).prepare();
  const config = `${folder}/config.yaml`;
  const settings = `
repository: { type: directory, path: ${folder}/repository }
metadata: { url: off }
listen: 127.0.0.1:0
schedule: [{ name: weekly, cron: "0 2 * * 0", run: backup full }]
alerts:
  webhooks: [{ url: "http://127.0.0.1:${hook.port}/canary-in-the-path" }]
  heartbeat: { url: "http://127.0.0.1:${beats.port}/canary-in-the-path" }
`;
  await Deno.writeTextFile(config, settings, { mode: 0o600 });
  const env = { HOME: folder, PG_HOST: "127.0.0.1", PG_PORT: "1", PG_USER: "nobody" };
  const child = spawnCli(["schedule", "--daemon", "--config", config], { env });
  let log = "";
  const reading = (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) log += text;
  })();
  try {
    const address = await until("the listener", () => /pages on (http:\/\/\S+?)"/.exec(log)?.[1]);
    await until("the second try", () => hook.requests.length >= 2);
    const message = JSON.parse(hook.requests[1]!.body);
    assert.deepEqual(
      message.alerts.map(({ event, rule }: { event: string; rule: string }) => [event, rule]),
      [["firing", "full_too_old"]],
    );
    await until("the heartbeat", () => beats.requests.length > 0);
    const page = await fetch(`${address}/?lang=pt`);
    const html = await page.text();
    assert.match(html, /1 alerta/);
    assert.match(html, /<b>crítico<\/b> não há backup completo/);
    assert.match(page.headers.get("content-security-policy") ?? "", /^default-src 'none'/);
    assert.equal((await fetch(`${address}/nothing`)).status, 404);
    assert.match(await (await fetch(`${address}/metrics`)).text(), /^backupctl_/m);
  } finally {
    child.kill("SIGTERM");
    await child.status;
    await reading;
    await child.stdout.cancel();
    await Deno.remove(folder, { recursive: true });
  }
  assert.match(log, /"event":"alert\.sent"/);
  assert.match(log, /"event":"alert\.not_delivered"/);
  assert.doesNotMatch(log, /canary/);
});
