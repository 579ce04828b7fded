import assert from "node:assert/strict";
import { AlertWatch } from "../../../src/cli/alerts/alert_watch.ts";
import { loadConfig } from "../../../src/config/config.ts";
import { systemClock } from "../../../src/domain/clock.ts";
import { type LogEvent, silentLog } from "../../../src/log/log.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import { Receiver } from "../../support/alerts/receiver.ts";
import { aRepository, aSnapshot } from "../../support/alerts/snapshots.ts";

async function withWatch(
  use: (watch: AlertWatch, rig: {
    readonly hook: Receiver;
    readonly warnings: readonly string[];
    /** Where alerts are kept. */
    readonly alerts: string;
    reconfigure(text: string): Promise<void>;
  }) => Promise<void>,
  env?: Readonly<Record<string, string>>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  await using hook = new Receiver();
  const read = async (text: string) => {
    await Deno.writeTextFile(`${folder}/config.yaml`, text, { mode: 0o600 });
    return await loadConfig({ file: `${folder}/config.yaml`, env: {} });
  };
  const webhook = `alerts: { webhooks: [{ url: "http://127.0.0.1:${hook.port}/" }] }\n`;
  const { signal } = new AbortController();
  let loaded = await read(webhook);
  const warnings: string[] = [];
  const warning = (event: LogEvent, message: string) => warnings.push(`${event} ${message}`);
  const watch = new AlertWatch({
    context: { env: env ?? { HOME: folder }, clock: systemClock, signal },
    store: new MemoryStore(),
    log: { ...silentLog, warning },
    loaded: () => loaded,
  });
  const reconfigure = async (text: string) => {
    loaded = await read(webhook + text);
  };
  try {
    const alerts = `${folder}/.local/state/backupctl/main/alerts`;
    await use(watch, { hook, warnings, alerts, reconfigure });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const noBackups = aRepository({ backups: [] });

Deno.test("AlertWatch tells what the rules find, once", async () => {
  await withWatch(async (watch, { hook }) => {
    await watch.tick(aSnapshot({ repository: noBackups }));
    await watch.tick(aSnapshot({ repository: noBackups }));
    const rules = hook.requests.map(({ body }) => JSON.parse(body).alerts[0].rule);
    assert.deepEqual(rules, ["full_too_old"]);
    assert.deepEqual((await watch.open()).map(({ rule }) => rule), ["full_too_old"]);
  });
});

Deno.test("AlertWatch leaves the telling to the daemon that leads", async () => {
  await withWatch(async (watch, { hook }) => {
    const leader = { here: false, holder: "db2/7" };
    await watch.tick(aSnapshot({ repository: noBackups, leader }));
    assert.equal(hook.requests.length, 0);
  });
});

Deno.test("AlertWatch tells when nobody leads, or nobody can know who does", async () => {
  const problems = [{ part: "repository", message: "no route" }] as const;
  for (
    const snapshot of [
      aSnapshot({ repository: noBackups, leader: { here: false, holder: undefined } }),
      aSnapshot({ repository: undefined, problems, leader: { here: false, holder: "db2/7" } }),
    ]
  ) {
    await withWatch(async (watch, { hook }) => {
      await watch.tick(snapshot);
      await watch.tick(snapshot);
      assert.equal(hook.requests.length, 1);
    });
  }
});

Deno.test("AlertWatch goes by the configuration that was read last", async () => {
  await withWatch(async (watch, { hook, reconfigure }) => {
    const old = aSnapshot();
    await watch.tick(old);
    assert.equal(hook.requests.length, 0);
    await reconfigure("retention: full-retain=1\n");
    await watch.tick(old);
    assert.equal(hook.requests.length, 0);
    const days = 30 * 86_400_000;
    const runs = old.runs.map((run) => ({
      ...run,
      finishedAt: new Date(Date.parse(run.finishedAt) - days).toISOString(),
    }));
    await watch.tick({ ...old, runs });
    const rules = hook.requests.flatMap(({ body }) =>
      JSON.parse(body).alerts.map(({ rule }: { readonly rule: string }) => rule)
    );
    assert.deepEqual(rules, ["prune_not_run"]);
  });
});

const rulesOf = (hook: Receiver) =>
  hook.requests.map(({ body }) => JSON.parse(body).alerts[0].rule);

Deno.test("AlertWatch tells once where no folder can be written, and warns of it once", async () => {
  for (const env of [{ STATE_DIRECTORY: "/dev/null" }, {}]) {
    await withWatch(async (watch, { hook, warnings, reconfigure }) => {
      const snapshot = aSnapshot({ repository: noBackups });
      await watch.tick(snapshot);
      await watch.tick(snapshot);
      await reconfigure("retention: full-retain=1\n");
      await watch.tick(snapshot);
      assert.equal(rulesOf(hook).filter((rule) => rule === "full_too_old").length, 1);
      assert.ok((await watch.open()).some(({ rule }) => rule === "full_too_old"));
      assert.equal(warnings.length, 1, warnings.join("\n"));
      assert.match(warnings[0]!, /^alert\.not_kept alerts (cannot be|have no folder to be) kept/);
    }, env);
  }
});

Deno.test("AlertWatch goes on without a folder that goes bad while it watches", async () => {
  await withWatch(async (watch, { hook, warnings, alerts }) => {
    await watch.tick(aSnapshot());
    await Deno.remove(alerts, { recursive: true });
    await Deno.writeTextFile(alerts, "");
    const snapshot = aSnapshot({ repository: noBackups });
    await assert.rejects(watch.tick(snapshot), /Not a directory/);
    await watch.tick(snapshot);
    await watch.tick(snapshot);
    assert.deepEqual(rulesOf(hook), ["full_too_old"]);
    assert.equal(warnings.length, 1, warnings.join("\n"));
  });
});
