/** The schedule as people see it, and the daemon with real children. */
import assert from "node:assert/strict";
import { Daemon, DaemonFolder } from "../support/daemon_rig.ts";
import { startCluster } from "../support/postgres_cluster.ts";
import { failureOf, runCli } from "../support/run_cli.ts";
import { readMetrics } from "../support/metrics_page.ts";

const EVERY_SECOND = "* * * * * *";

Deno.test("schedule shows the next runs, each in its own time zone", async () => {
  await using folder = await DaemonFolder.make();
  await folder.write([
    "schedule:",
    '  - { name: full, cron: "0 2 * * 0", run: "backup full", timezone: America/Sao_Paulo }',
    '  - { name: never, cron: "0 0 30 2 *", run: "version" }',
  ]);
  const args = ["schedule", "--config", folder.config];
  const { stdout, status } = await runCli([...args, "--next", "2"]);
  assert.equal(status, 0);
  assert.equal(stdout.match(/^Sun \d{4}-\d\d-\d\d 02:00 UTC-3 .* full +backup full$/mg)?.length, 2);
  assert.match(stdout, /^warning: never never runs/m);
  const json = JSON.parse((await runCli([...args, "--output", "json"])).stdout);
  assert.equal(json.entries[0].next_runs.length, 3);
  assert.deepEqual(json.entries[1].next_runs, []);
});

const faults: readonly (readonly [fields: string, expected: RegExp])[] = [
  ['cron: "0 2 * * 0", run: "bakcup full"', /:4:\d+: schedule\[0\]\.run: .*"bakcup" is not known/],
  ['cron: "0 2 * * 0", run: "backup full --databse x"', /:5:\d+: .*did you mean --database\?/],
  ['cron: "0 2 * * 0", run: "schema"', /schedule\[2\]\.run: .*not in this version/],
  ['cron: "0 2 * * 0", run: "schedule --daemon"', /schedule\[3\]\.run: .*cannot be scheduled/],
  ['cron: "0 2 * * 0", run: "wal-push x"', /schedule\[4\]\.run: .*PostgreSQL runs it/],
  ['cron: "0 2 * * 0", run: "status --cluster b"', /schedule\[5\]\.run: .*another configuration/],
  ['cron: "0 2 * * 0", run: "status --help"', /schedule\[6\]\.run: .*only prints a text/],
  ['cron: "0 2 * * 0", run: "status --last \'x"', /schedule\[7\]\.run: .*has no end/],
  ['cron: "0 25 * * 0", run: "status"', /:12:\d+: schedule\[8\]\.cron: .*hour: 25/],
];
Deno.test("schedule and config check refuse what cannot be run, all at once", async () => {
  await using folder = await DaemonFolder.make();
  const lines = faults.map(([fields], index) => `  - { name: e${index}, ${fields} }`);
  await folder.write(["schedule:", ...lines]);
  for (const words of [["schedule"], ["schedule", "--daemon"], ["config", "check"]]) {
    const result = await runCli([...words, "--config", folder.config]);
    assert.equal(result.status, 4, result.stderr);
    assert.match(result.stderr, /^error: the configuration has 9 faults$/m);
    for (const [, expected] of faults) assert.match(result.stderr, expected);
  }
});

const TOLD = [["config", "check"], ["schedule"], ["schedule", "--daemon"], ["test"]];
for (const words of TOLD) {
  Deno.test(`${words.join(" ")} names a schedule's faults beside what its grammar refuses`, async () => {
    await using folder = await DaemonFolder.make();
    await folder.write([
      "schedule:",
      '  - { name: full, cron: "0 25 * * 0", run: "backup fulll" }',
      '  - { name: full, cron: "bogus", run: "statusx" }',
    ]);
    const { status, stdout, stderr } = await runCli([...words, "--config", folder.config]);
    assert.equal(status, 4, stderr);
    const told = `${stdout}${stderr}`;
    assert.match(told, /the configuration has 5 faults$/m);
    const keys = [...told.matchAll(/:\d+:\d+: (schedule\[\d\]\.\w+): /g)].map(([, key]) => key);
    assert.deepEqual(keys, [
      ...["schedule[0].cron", "schedule[0].run"],
      ...["schedule[1].name", "schedule[1].cron", "schedule[1].run"],
    ]);
  });
}

Deno.test("config check names what the daemon refuses to show its pages with", async () => {
  await using folder = await DaemonFolder.make();
  await folder.write([
    "listen: 0.0.0.0:0",
    "schedule:",
    '  - { name: a, cron: "@daily", run: status }',
  ]);
  const config = ["--config", folder.config];
  const daemon = ["schedule", "--daemon", ...config];
  for (const args of [daemon, ["config", "check", ...config]]) {
    const result = await runCli(args);
    assert.equal(result.status, 4, result.stderr);
    assert.match(failureOf(result).error ?? "", /:\d+:1: listen: .*listen_token is not set/);
  }
  const flag = await runCli([...daemon, "--listen", "localhost:99999"]);
  assert.equal(flag.status, 4, flag.stderr);
  assert.match(failureOf(flag).error ?? "", /--listen: listen: .*not an address with a port/);
  assert.equal((await runCli(["schedule", ...config])).status, 0);
});

Deno.test("schedule refuses two entries of one name, and flags of the wrong kind", async () => {
  await using folder = await DaemonFolder.make();
  const line = '  - { name: a, cron: "0 2 * * 0", run: "status" }';
  await folder.write(["schedule:", line, line]);
  const twice = await runCli(["schedule", "--config", folder.config]);
  assert.match(
    failureOf(twice).error ?? "",
    /:5:7: schedule\[1\]\.name: "a" is the name of another/,
  );
  for (const args of [["--once"], ["--listen", "127.0.0.1:1"], ["--daemon", "--next", "3"]]) {
    const result = await runCli(["schedule", ...args, "--config", folder.config]);
    assert.equal(result.status, 2);
  }
});

Deno.test("the daemon runs entries, reloads, and ends when it is asked to", async (t) => {
  await using folder = await DaemonFolder.make();
  const good = ["schedule:", `  - { name: tick, cron: "${EVERY_SECOND}", run: "version" }`];
  await folder.write(good);
  const notes = `${folder.path}/notes`;
  const script = `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> ${notes}\n`;
  await Deno.mkdir(`${folder.path}/bin`);
  await Deno.writeTextFile(`${folder.path}/bin/systemd-notify`, script, { mode: 0o755 });
  const systemd = { NOTIFY_SOCKET: "/run/x", WATCHDOG_USEC: "1000000" };
  const path = `${folder.path}/bin:${Deno.env.get("PATH")}`;
  await using daemon = new Daemon(
    ["--config", folder.config, "--listen", "127.0.0.1:0"],
    { ...folder.env, ...systemd, PATH: path },
  );
  const { listen } = await daemon.until("daemon.started");

  await t.step("its entries begin and end", async () => {
    await daemon.until("schedule.finished", 2);
    const fired = daemon.events.filter(({ event }) => event === "schedule.fired");
    const dues = fired.map(({ due }) => due);
    assert.deepEqual(dues, [...new Set(dues)], "a moment came twice");
  });

  await t.step("its pages answer", async () => {
    assert.equal(await (await fetch(`http://${listen}/healthz`)).text(), "ok\n");
    const page = await fetch(`http://${listen}/metrics`);
    const families = readMetrics(await page.text(), "text");
    assert.equal(families.get("backupctl_leader")?.samples[0]?.value, 1);
  });

  await t.step("a reload with a fault keeps the last good configuration", async () => {
    await folder.write(["schedule:", '  - { name: tick, cron: "0 2 * * *", run: "nope" }']);
    daemon.signal("SIGHUP");
    const { message } = await daemon.until("daemon.reload_refused");
    assert.match(message, /schedule\[0\]\.run/);
    const ended = daemon.events.filter(({ event }) => event === "schedule.finished").length;
    await daemon.until("schedule.finished", ended + 1);
    const metrics = await (await fetch(`http://${listen}/metrics`)).text();
    assert.match(metrics, /backupctl_schedule_running\{entry="tick"/);
  });

  await t.step("a reload that moves to another repository is refused", async () => {
    await folder.write([...good, "cluster: other"]);
    daemon.signal("SIGHUP");
    const { message } = await daemon.until("daemon.reload_refused", 2);
    assert.match(message, /the cluster or the repository is another one/);
  });

  await t.step("a reload in order applies", async () => {
    await folder.write([
      "schedule:",
      `  - { name: tock, cron: "${EVERY_SECOND}", run: "explain 9" }`,
    ]);
    daemon.signal("SIGHUP");
    await daemon.until("daemon.reloaded");
    while (
      (await daemon.until(
        "schedule.fired",
        daemon.events.filter(({ event }) => event === "schedule.fired").length + 1,
      )).entry !== "tock"
    );
  });

  await t.step("it ends with 0, and has told systemd", async () => {
    daemon.signal("SIGTERM");
    assert.equal(await daemon.status(), 0, daemon.text);
    await daemon.until("daemon.stopped");
    const told = (await Deno.readTextFile(notes)).trim().split("\n");
    assert.equal(told[0], "/run/x READY=1");
    assert.ok(told.includes("/run/x WATCHDOG=1"));
    assert.ok(told.includes("/run/x STOPPING=1"));
    const ledger = JSON.parse(
      await Deno.readTextFile(`${folder.path}/repository/main/schedule.json`),
    );
    assert.equal(ledger.holder, null);
  });
});

Deno.test("of two daemons one runs the schedule, and the other when it is gone", async () => {
  await using folder = await DaemonFolder.make();
  await folder.write(["schedule:", `  - { name: tick, cron: "${EVERY_SECOND}", run: "version" }`]);
  await using one = folder.start();
  await one.until("schedule.finished");
  await using other = folder.start();
  await other.until("daemon.started");
  await one.until("schedule.finished", 3);
  assert.equal(other.events.filter(({ event }) => event === "schedule.fired").length, 0);
  one.signal("SIGKILL");
  await one.status();
  await other.until("schedule.finished", 2);
  const dues = [one, other].flatMap(({ events }) =>
    events.filter(({ event, attempt }) => event === "schedule.fired" && attempt === 1)
      .map(({ due }) => due)
  );
  assert.deepEqual(dues, [...new Set(dues)], "a moment came twice");
  other.signal("SIGTERM");
  assert.equal(await other.status(), 0);
});

Deno.test("a backup that the daemon's end cuts off leaves nothing, and is taken again", async () => {
  await using cluster = await startCluster({ settings: { wal_level: "replica" } });
  await cluster.query(
    "create table t as select g, repeat(md5(g::text), 20) from generate_series(1, 60000) g",
  );
  await using folder = await DaemonFolder.make();
  const settings = (rate: string) => [
    `postgres: { host: 127.0.0.1, port: ${cluster.port}, user: ${cluster.user} }`,
    "schedule:",
    '  - { name: full, cron: "* * * * * *", run: "backup full --method physical --fast-checkpoint' +
    `${rate}" }`,
  ];
  await folder.write(settings(" --max-rate 2M"));
  await using daemon = folder.start();
  await daemon.until("backup.started");
  await daemon.until("backup.progress").catch(() => {});
  const begun = performance.now();
  daemon.signal("SIGTERM");
  assert.equal(await daemon.status(), 0, daemon.text);
  assert.ok(performance.now() - begun < 60_000, "it did not end within a minute");
  assert.equal((await folder.run("full"))?.outcome, "interrupted");
  const left = (await folder.keys()).filter((key) => key.includes("/backups/"));
  assert.deepEqual(left, [], "something of the backup was left");
  await folder.write(settings(""));
  await using again = folder.start();
  await again.until("backup.finished");
  again.signal("SIGTERM");
  assert.equal(await again.status(), 0);
});

const LIVES = Deno.env.get("BACKUPCTL_FAULTS") === "full" ? 60 : 4;
Deno.test(`no moment comes twice, and none is forgotten, in ${LIVES} lives of a daemon that is killed`, async () => {
  await using folder = await DaemonFolder.make();
  await folder.write(["schedule:", `  - { name: tick, cron: "${EVERY_SECOND}", run: "version" }`]);
  const begun = new Set<string>();
  let lastDue = "";
  for (let life = 0; life < LIVES; life++) {
    await using daemon = folder.start();
    await daemon.until("schedule.fired", 1 + life % 2);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 1200));
    daemon.signal("SIGKILL");
    await daemon.status();
    for (const { event, due, attempt } of daemon.events) {
      if (event !== "schedule.fired") continue;
      const key = `${due}/${attempt}`;
      assert.ok(!begun.has(key), `${key} began twice in life ${life}`);
      begun.add(key);
      assert.ok(String(due) >= lastDue, `${due} behind ${lastDue}`);
      lastDue = String(due);
    }
    const run = await folder.run("tick");
    // Written before a run begins: it may be ahead by one that was cut off before it was told.
    const isAhead = String(run?.due) > lastDue && run?.outcome === "running";
    assert.ok(run?.due === lastDue || isAhead, `the ledger does not know of ${lastDue}`);
  }
});

Deno.test("schedule --daemon --once runs what is due, and ends with its status", async () => {
  await using folder = await DaemonFolder.make();
  await folder.write([
    "schedule:",
    `  - { name: good, cron: "${EVERY_SECOND}", run: "version" }`,
    `  - { name: bad, cron: "${EVERY_SECOND}", run: "status --backup-id 20200101T000000Z-F" }`,
  ]);
  await using first = folder.start("--once");
  assert.equal(await first.status(), 0, "nothing is due when it begins");
  await new Promise((resolve) => setTimeout(resolve, 1100));
  await using second = folder.start("--once");
  assert.equal(await second.status(), 10, second.text);
  const ended = second.events.filter(({ event }) => /^schedule\.(finished|failed)$/.test(event));
  assert.ok(ended.some(({ entry, event }) => entry === "good" && event === "schedule.finished"));
  assert.ok(ended.some(({ message }) => /there is no repository/.test(message)), second.text);
});
