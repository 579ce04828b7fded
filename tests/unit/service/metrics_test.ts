import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "yaml";
import { formatMetrics, metricsForm } from "../../../src/service/metrics/format_metrics.ts";
import { metricFamilies } from "../../../src/service/metrics/metric_families.ts";
import { metricsRoutes, RunCounter } from "../../../src/service/service.ts";
import type { ServiceSnapshot } from "../../../src/service/service.ts";
import { aFailure, aRepository, aRun, before, TAKEN_AT } from "../../support/alerts/snapshots.ts";
import { sampleManifest, samplePhysical } from "../../support/manifests.ts";
import { readMetrics } from "../../support/metrics_page.ts";
import { PROJECT_ROOT } from "../../support/paths.ts";

const window = {
  ...{ timeline: 3, fromLsn: 0x3000100n, toLsn: 0x9000000n, backupIds: ["a"], open: true },
  ...{ from: before(86_400_000), to: before(41_000), lagSeconds: 41 },
};

/** A snapshot in which every value is known. */
function aSnapshot(changes: Partial<ServiceSnapshot> = {}): ServiceSnapshot {
  return {
    ...{ cluster: "main", host: "db1", version: "0.1.0", takenAt: TAKEN_AT, tookSeconds: 0.25 },
    repository: aRepository({
      backups: [sampleManifest(), samplePhysical({ kind: "full" })],
      lastDrill: { at: before(7_200_000), backupId: "20261122T020000Z-F", recoverySeconds: 77 },
      windows: [window, { ...window, timeline: 4 }, { ...window, from: before(3_600_000) }],
      gaps: [{
        timeline: 3,
        fromWal: "0000000300000000000000A1",
        toWal: "0000000300000000000000A7",
      }],
    }),
    server: {
      archiving: {
        ...{ mode: "on", command: "backupctl wal-push %p", byBackupctl: true, failedCount: 3 },
        ...{ lastArchived: "0000000300000000000000A5", lastArchivedAt: before(60_000) },
        ...{ lastFailed: undefined, lastFailedAt: undefined },
      },
      backlog: { files: 4, bytes: 4 * 16 * 1024 * 1024, oldestAt: before(90_000) },
    },
    runs: [aRun({ operation: "drill" }), aRun(), aFailure()],
    schedule: [{
      ...{ name: "weekly", cron: "0 2 * * 0", run: "backup full", kind: "backup" },
      ...{ timezone: undefined, nextRun: new Date("2026-11-29T02:00:00Z") },
      last: {
        ...{
          due: before(86_400_000),
          startedAt: before(86_000_000),
          finishedAt: before(85_000_000),
        },
        ...{ outcome: "succeeded", exitStatus: 0, message: undefined },
      },
    }],
    leader: { here: true, holder: "db1/7" },
    problems: [],
    configFault: undefined,
    ...changes,
  };
}

function read(snapshot: ServiceSnapshot) {
  return readMetrics(formatMetrics(metricFamilies(snapshot), "text"), "text");
}

function valueOf(snapshot: ServiceSnapshot, name: string, labels: Record<string, string> = {}) {
  return read(snapshot).get(name)?.samples.find((sample) =>
    Object.entries(labels).every(([key, value]) => sample.labels.get(key) === value)
  )?.value;
}

Deno.test("/metrics tells what the snapshot holds", () => {
  const snapshot = aSnapshot();
  const seconds = (date: Date | string) => new Date(date).getTime() / 1000;
  const expected: readonly [string, Record<string, string>, number][] = [
    ["backupctl_part_up", { part: "server" }, 1],
    ["backupctl_leader", {}, 1],
    ["backupctl_backups", { method: "logical", kind: "full" }, 1],
    [
      "backupctl_backup_last_success_timestamp_seconds",
      { method: "logical" },
      seconds("2026-11-23T02:25:03.004Z"),
    ],
    ["backupctl_storage_bytes", { content: "wal" }, 1_000_000],
    ["backupctl_wal_gaps", {}, 1],
    ["backupctl_windows", {}, 3],
    ["backupctl_window_begin_timestamp_seconds", { timeline: "3" }, seconds(before(3_600_000))],
    ["backupctl_window_end_timestamp_seconds", { timeline: "4" }, seconds(before(41_000))],
    ["backupctl_wal_lag_seconds", {}, 90],
    ["backupctl_wal_backlog_files", {}, 4],
    ["backupctl_archiver_failures_total", {}, 3],
    ["backupctl_drill_last_recovery_seconds", {}, 77],
    [
      "backupctl_run_last_duration_seconds",
      { operation: "backup full", outcome: "succeeded" },
      300,
    ],
    ["backupctl_schedule_last_success", { entry: "weekly" }, 1],
    ["backupctl_schedule_next_run_timestamp_seconds", {}, seconds("2026-11-29T02:00:00Z")],
    ["backupctl_disk_free_bytes", {}, 500e9],
  ];
  for (const [name, labels, value] of expected) {
    assert.equal(valueOf(snapshot, name, labels), value, name);
  }
});

Deno.test("/metrics leaves out what is not known, and says which part is silent", () => {
  const snapshot = aSnapshot({
    repository: undefined,
    server: undefined,
    problems: [{ part: "repository", message: "x" }, { part: "server", message: "y" }],
  });
  assert.equal(valueOf(snapshot, "backupctl_part_up", { part: "repository" }), 0);
  assert.equal(valueOf(snapshot, "backupctl_part_up", { part: "runs" }), 1);
  assert.equal(read(snapshot).has("backupctl_wal_gaps"), false);
  assert.equal(read(snapshot).has("backupctl_wal_lag_seconds"), false);
});

Deno.test("/metrics has no lag while nothing waits, and none is known without the right", () => {
  const { server } = aSnapshot();
  const idle = { files: 0, bytes: 0, oldestAt: undefined };
  const quiet = aSnapshot({ server: { ...server!, backlog: idle } });
  assert.equal(valueOf(quiet, "backupctl_wal_lag_seconds"), 0);
  const blind = aSnapshot({ server: { ...server!, backlog: undefined } });
  assert.equal(valueOf(blind, "backupctl_wal_lag_seconds"), undefined);
});

Deno.test("formatMetrics() keeps both grammars whatever the names are", () => {
  const text = fc.string({ unit: "binary", maxLength: 30 });
  fc.assert(
    fc.property(text, text, fc.double(), (name, help, value) => {
      const samples = [{ labels: { entry: name }, value }, { value: 1 }];
      const family = { name: "backupctl_x", help: help.replaceAll("\r", " "), samples };
      for (const form of ["text", "openmetrics"] as const) {
        for (const type of ["gauge", "counter"] as const) {
          if (type === "counter" && !(value >= 0)) continue;
          const page = formatMetrics([{ ...family, type }], form);
          const found = [...readMetrics(page, form).values()][0]!;
          assert.equal(found.samples[0]!.labels.get("entry"), name);
          assert.equal(found.samples[0]!.value, value === 0 ? 0 : value);
        }
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("/metrics is OpenMetrics for those who ask for it", async () => {
  const accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
  assert.equal(metricsForm(accept), "openmetrics");
  assert.equal(metricsForm("*/*"), "text");
  assert.equal(metricsForm(null), "text");
  const routes = metricsRoutes({ snapshot: () => aSnapshot(), fault: () => undefined });
  const page = await routes.get("/metrics")!.handle(
    new Request("http://localhost/metrics", { headers: { accept } }),
  );
  assert.match(page.headers.get("content-type")!, /^application\/openmetrics-text; version=1/);
  readMetrics(await page.text(), "openmetrics");
});

Deno.test("/healthz says whether the daemon is alive, and /metrics waits for a snapshot", async () => {
  const faults: string[] = [];
  const routes = metricsRoutes({ snapshot: () => undefined, fault: () => faults[0] });
  const ask = async (path: string) =>
    (await routes.get(path)!.handle(new Request("http://localhost/"))).status;
  assert.deepEqual([await ask("/healthz"), await ask("/metrics")], [200, 503]);
  faults.push("the scheduler hangs");
  assert.equal(await ask("/healthz"), 503);
});

Deno.test("RunCounter counts what appears after it began, and never goes back", () => {
  const counter = new RunCounter();
  const [old, one, two] = [aRun(), aRun(), aFailure()];
  const value = (outcome: string) =>
    counter.family().samples.find(({ labels }) => labels?.["outcome"] === outcome)?.value;
  counter.observe({ runs: [old], problems: [] });
  assert.equal(value("succeeded"), 0);
  counter.observe({ runs: [two, one, old], problems: [] });
  assert.deepEqual([value("succeeded"), value("failed")], [1, 1]);
  counter.observe({ runs: [], problems: [{ part: "runs", message: "away" }] });
  counter.observe({ runs: [two, one, old], problems: [] });
  counter.observe({ runs: [two], problems: [] });
  assert.deepEqual([value("succeeded"), value("failed")], [1, 1]);
});

/** Every name that rules and panels use, as metrics or as what the page calls them. */
function namesIn(expressions: readonly string[]): readonly string[] {
  return [
    ...new Set(expressions.flatMap((text) => text.match(/\b(backupctl|process)_\w+/g) ?? [])),
  ];
}

async function offeredNames(): Promise<ReadonlySet<string>> {
  const counter = new RunCounter();
  counter.observe({ runs: [aRun()], problems: [] });
  const { processFamilies } = await import("../../../src/cli/schedule/process_families.ts");
  const more = [counter.family(), ...processFamilies()];
  const page = formatMetrics([...metricFamilies(aSnapshot()), ...more], "text");
  return new Set(readMetrics(page, "text").keys());
}

Deno.test("config/prometheus/rules.yaml asks for metrics that there are", async () => {
  const text = await Deno.readTextFile(`${PROJECT_ROOT}config/prometheus/rules.yaml`);
  const { groups } = parse(text) as { groups: { rules: { alert: string; expr: string }[] }[] };
  const rules = groups.flatMap((group) => group.rules);
  assert.ok(rules.length >= 12);
  const offered = await offeredNames();
  const names = namesIn(rules.map(({ expr }) => expr));
  assert.deepEqual(names.filter((name) => !offered.has(name)), []);
});

Deno.test("config/grafana/backupctl.json asks for metrics that there are", async () => {
  const text = await Deno.readTextFile(`${PROJECT_ROOT}config/grafana/backupctl.json`);
  const { panels } = JSON.parse(text) as { panels: { targets: { expr: string }[] }[] };
  const offered = await offeredNames();
  const names = namesIn(panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)));
  assert.ok(names.length >= 15);
  assert.deepEqual(names.filter((name) => !offered.has(name)), []);
});

Deno.test("promtool finds nothing wrong with the page, the rules and the panels", async () => {
  const promtool = await findPromtool();
  if (promtool === undefined) {
    console.log("    SKIPPED: promtool is not in PATH (Debian: apt-get install prometheus)");
    return;
  }
  const page = formatMetrics(metricFamilies(aSnapshot()), "text");
  await run(promtool, ["check", "metrics"], page);
  const folder = `${PROJECT_ROOT}config/prometheus`;
  await run(promtool, ["check", "rules", `${folder}/rules.yaml`]);
  await run(promtool, ["test", "rules", `${folder}/rules_test.yaml`]);
  const text = await Deno.readTextFile(`${PROJECT_ROOT}config/grafana/backupctl.json`);
  const { panels } = JSON.parse(text) as { panels: { targets: { expr: string }[] }[] };
  const rules = panels.flatMap(({ targets }) => targets).map(({ expr }, index) => ({
    record: `panel:${index}`,
    expr: expr.replaceAll("$job", "job").replaceAll("$instance", "instance"),
  }));
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  await Deno.writeTextFile(file, JSON.stringify({ groups: [{ name: "panels", rules }] }));
  await run(promtool, ["check", "rules", file]);
  await Deno.remove(file);
});

async function findPromtool(): Promise<string | undefined> {
  const file = Deno.env.get("BACKUPCTL_TEST_PROMTOOL") ?? "promtool";
  try {
    const { success } = await new Deno.Command(file, { args: ["--version"] }).output();
    return success ? file : undefined;
  } catch {
    return undefined;
  }
}

async function run(program: string, args: readonly string[], input = ""): Promise<void> {
  const child = new Deno.Command(program, {
    args: [...args],
    ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.ok(success, `promtool ${args.join(" ")}: ${text}`);
}
