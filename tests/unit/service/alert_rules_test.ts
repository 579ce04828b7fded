import assert from "node:assert/strict";
import fc from "fast-check";
import { lookAt, lookAtRun, RULES } from "../../../src/service/alerts/rules/evaluate_rules.ts";
import { portugueseAlert } from "../../../src/service/page/alert_phrases.ts";
import type { AlertSnapshot, RuleLimits } from "../../../src/service/alerts/rules/rule.ts";
import {
  aFailure,
  anEntry,
  aRepository,
  aRun,
  aSnapshot,
  before,
  LIMITS,
  TAKEN_AT,
} from "../../support/alerts/snapshots.ts";
import { samplePhysical } from "../../support/manifests.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The rules' names and severities, sorted. */
function found(snapshot: AlertSnapshot, limits: RuleLimits = LIMITS): readonly string[] {
  return lookAt(snapshot, limits).findings
    .map(({ rule, subject, severity }) => `${rule}/${subject} ${severity}`).sort();
}

const server = aSnapshot().server!;
const archiving = (more: Partial<typeof server.archiving>) => ({
  ...server,
  archiving: { ...server.archiving, ...more },
});

const CASES: readonly {
  readonly title: string;
  readonly snapshot: Partial<AlertSnapshot>;
  readonly finds: readonly string[];
  readonly limits?: Partial<RuleLimits>;
}[] = [
  { title: "nothing when all is well", snapshot: {}, finds: [] },
  {
    title: "a failed run",
    snapshot: { runs: [aFailure(), ...aSnapshot().runs] },
    finds: ["run_failed/backup full critical"],
  },
  {
    title: "a failed run in whatever order the runs come",
    snapshot: { runs: [...aSnapshot().runs, aFailure()] },
    finds: ["run_failed/backup full critical"],
  },
  {
    title: "nothing when the operation succeeded since",
    snapshot: { runs: [...aSnapshot().runs, aRun({}, before(MINUTE)), aFailure()] },
    finds: [],
  },
  {
    title: "the failure before a run that was interrupted",
    snapshot: {
      runs: [aRun({ outcome: "interrupted" }, before(MINUTE)), aFailure(), ...aSnapshot().runs],
    },
    finds: ["run_failed/backup full critical"],
  },
  {
    title: "nothing of a restore, in front of which somebody sits",
    snapshot: { runs: [aFailure("restore"), ...aSnapshot().runs] },
    finds: [],
  },
  {
    title: "each operation that failed",
    snapshot: { runs: [aFailure("verify", "INTEGRITY"), aFailure("prune"), ...aSnapshot().runs] },
    finds: ["run_failed/prune critical", "run_failed/verify critical"],
  },
  {
    title: "an entry whose command failed before it could record a run",
    snapshot: {
      schedule: [anEntry({
        last: {
          due: before(HOUR),
          startedAt: before(HOUR),
          finishedAt: before(HOUR - MINUTE),
          outcome: "failed",
          exitStatus: 4,
          message: "the configuration has 2 faults",
        },
      })],
      runs: [aRun({}, before(2 * HOUR)), ...aSnapshot().runs.slice(1)],
    },
    finds: ["entry_failed/weekly critical"],
  },
  {
    title: "a failed entry once, when its run is recorded too",
    snapshot: {
      schedule: [anEntry({
        last: {
          due: before(20 * MINUTE),
          startedAt: before(20 * MINUTE),
          finishedAt: before(9 * MINUTE),
          outcome: "failed",
          exitStatus: 5,
          message: undefined,
        },
      })],
      runs: [aFailure(), ...aSnapshot().runs],
    },
    finds: ["run_failed/backup full critical"],
  },
  {
    title: "nothing of a failed entry whose run has told of itself",
    snapshot: {
      schedule: [anEntry({
        last: {
          due: before(20 * MINUTE),
          startedAt: before(20 * MINUTE),
          finishedAt: before(9 * MINUTE),
          outcome: "failed",
          exitStatus: 5,
          message: undefined,
        },
      })],
      runs: [],
      toldFailures: [before(9 * MINUTE)],
    },
    finds: [],
  },
  {
    title: "a run whose end nobody knows",
    snapshot: {
      schedule: [anEntry({
        last: {
          due: before(HOUR),
          startedAt: before(HOUR),
          finishedAt: undefined,
          outcome: "lost",
          exitStatus: undefined,
          message: undefined,
        },
      })],
    },
    finds: ["entry_failed/weekly warning"],
  },
  {
    title: "an entry that is due and does not begin",
    snapshot: { schedule: [anEntry({ nextRun: before(16 * MINUTE) })] },
    finds: ["schedule_silent/weekly critical"],
  },
  {
    title: "nothing of an entry that is a little late",
    snapshot: { schedule: [anEntry({ nextRun: before(14 * MINUTE) })] },
    finds: [],
  },
  {
    title: "nothing of an entry that waits for one of its kind",
    snapshot: {
      schedule: [
        anEntry({ name: "incremental", nextRun: before(3 * HOUR) }),
        anEntry({
          last: {
            due: before(5 * HOUR),
            startedAt: before(5 * HOUR),
            finishedAt: undefined,
            outcome: "running",
            exitStatus: undefined,
            message: undefined,
          },
        }),
      ],
    },
    finds: [],
  },
  {
    title: "no full backup for too long",
    snapshot: {
      repository: aRepository({
        backups: [samplePhysical({ kind: "full", stoppedAt: before(9 * DAY).toISOString() })],
      }),
    },
    finds: ["full_too_old/full critical"],
  },
  {
    title: "an old full backup although there is a new increment",
    snapshot: {
      repository: aRepository({
        backups: [
          samplePhysical({ kind: "full", stoppedAt: before(9 * DAY).toISOString() }),
          samplePhysical({ kind: "incremental", stoppedAt: before(HOUR).toISOString() }),
        ],
      }),
    },
    finds: ["full_too_old/full critical"],
  },
  {
    title: "no full backup at all",
    snapshot: { repository: aRepository({ backups: [] }) },
    finds: ["full_too_old/full critical"],
  },
  {
    title: "a manifest that cannot be used",
    snapshot: {
      repository: aRepository({
        unreadable: [{ key: "main/1/backups/x/backup.json", reason: "?" }],
      }),
    },
    finds: ["backup_unreadable/main/1/backups/x/backup.json critical"],
  },
  {
    title: "a backup that was read back and is damaged",
    snapshot: { damaged: [{ subject: "b1", by: "verify", foundAt: before(HOUR) }] },
    finds: ["backup_damaged/b1 critical"],
  },
  {
    title: "a gap",
    snapshot: {
      repository: aRepository({
        gaps: [{
          timeline: 1,
          fromWal: "0000000100000000000000A1",
          toWal: "0000000100000000000000A2",
        }],
      }),
    },
    finds: ["wal_gap/0000000100000000000000A1-0000000100000000000000A2 critical"],
  },
  {
    title: "WAL that waits for too long",
    snapshot: {
      server: { ...server, backlog: { files: 3, bytes: 3e6, oldestAt: before(11 * MINUTE) } },
    },
    finds: ["wal_lag/archive critical"],
  },
  {
    title: "nothing of WAL that waits for a moment",
    snapshot: {
      server: { ...server, backlog: { files: 3, bytes: 3e6, oldestAt: before(9 * MINUTE) } },
    },
    finds: [],
  },
  {
    title: "failing archiving when the role may not see what waits",
    snapshot: {
      server: {
        ...archiving({
          lastArchivedAt: before(HOUR),
          lastFailed: "0000000100000000000000A6",
          lastFailedAt: before(MINUTE),
          failedCount: 60,
        }),
        backlog: undefined,
      },
    },
    finds: ["wal_lag/archive critical"],
  },
  {
    title: "nothing of an idle server whose last segment is old",
    snapshot: {
      server: archiving({ lastArchivedAt: before(3 * DAY) }),
      repository: aRepository({ lastArchivedAt: before(3 * DAY) }),
    },
    finds: [],
  },
  {
    title: "a server that archives somewhere else",
    snapshot: {
      server: archiving({
        lastArchived: "0000000100000000000000B0",
        lastArchivedAt: before(11 * MINUTE),
      }),
    },
    finds: ["wal_lag/archive critical"],
  },
  {
    title: "nothing of a server that does not archive",
    snapshot: {
      server: {
        ...archiving({ mode: "off", command: "", byBackupctl: false }),
        backlog: { files: 9, bytes: 9, oldestAt: before(DAY) },
      },
    },
    finds: [],
  },
  {
    title: "a segment that the archive has under the same name",
    snapshot: {
      server: archiving({
        lastArchivedAt: before(5 * MINUTE),
        lastFailed: "0000000100000000000000A0",
        lastFailedAt: before(MINUTE),
        failedCount: 4,
      }),
    },
    finds: ["wal_conflict/0000000100000000000000A0 critical"],
  },
  {
    title: "no conflict where the segment is missing",
    snapshot: {
      server: archiving({
        lastFailed: "0000000100000000000000A0",
        lastFailedAt: before(0),
        failedCount: 4,
      }),
      repository: aRepository({
        gaps: [{
          timeline: 1,
          fromWal: "0000000100000000000000A0",
          toWal: "0000000100000000000000A0",
        }],
      }),
    },
    finds: ["wal_gap/0000000100000000000000A0-0000000100000000000000A0 critical"],
  },
  {
    title: "a disk with little room",
    snapshot: { repository: aRepository({ disk: { freeBytes: 9, totalBytes: 100 } }) },
    finds: ["disk_low/the repository's disk warning"],
  },
  {
    title: "a disk that is nearly full",
    snapshot: { disks: [{ what: "the state folder", freeBytes: 2, totalBytes: 100 }] },
    finds: ["disk_low/the state folder critical"],
  },
  {
    title: "a prune that has not run for too long",
    snapshot: {
      runs: [
        aRun({ operation: "prune" }, before(9 * DAY)),
        ...aSnapshot().runs.filter(({ operation }) => operation !== "prune"),
      ],
    },
    finds: ["prune_not_run/prune warning"],
  },
  {
    title: "a prune that never ran, as far as the runs reach back",
    snapshot: {
      runs: [
        aRun({ operation: "backup full" }, before(30 * DAY)),
        ...aSnapshot().runs.filter(({ operation }) => operation !== "prune"),
      ],
    },
    finds: ["prune_not_run/prune warning"],
  },
  {
    title: "nothing of a prune when the runs do not reach back far enough",
    snapshot: { runs: aSnapshot().runs.filter(({ operation }) => operation !== "prune") },
    finds: [],
  },
  {
    title: "a drill that is too old",
    snapshot: {
      runs: [
        aRun({ operation: "drill" }, before(40 * DAY)),
        ...aSnapshot().runs.filter(({ operation }) => operation !== "drill"),
      ],
    },
    finds: ["drill_too_old/drill warning"],
  },
  {
    title: "a verify that is too old",
    snapshot: {
      runs: [
        aRun({ operation: "verify" }, before(9 * DAY)),
        ...aSnapshot().runs.filter(({ operation }) => operation !== "verify"),
      ],
    },
    finds: ["verify_too_old/verify warning"],
  },
  {
    title: "nothing of what is switched off",
    snapshot: {
      repository: aRepository({ backups: [] }),
      runs: [aRun({ operation: "drill" }, before(400 * DAY))],
      schedule: [anEntry({ nextRun: before(DAY) })],
      server: { ...server, backlog: { files: 3, bytes: 3e6, oldestAt: before(DAY) } },
      expiries: [{ what: "x", at: before(DAY) }],
    },
    limits: {
      fullMaxAge: undefined,
      walLag: undefined,
      pruneMaxAge: undefined,
      drillMaxAge: undefined,
      verifyMaxAge: undefined,
      scheduleLate: undefined,
      expiryWarning: undefined,
    },
    finds: [],
  },
  {
    title: "a certificate that expires soon",
    snapshot: { expiries: [{ what: "the client certificate", at: before(-10 * DAY) }] },
    finds: ["expires_soon/the client certificate warning"],
  },
  {
    title: "a certificate that has expired",
    snapshot: { expiries: [{ what: "the client certificate", at: before(DAY) }] },
    finds: ["expires_soon/the client certificate critical"],
  },
  {
    title: "parts that cannot be asked, and nothing of what they would have said",
    snapshot: {
      repository: undefined,
      server: undefined,
      runs: [],
      problems: [
        { part: "repository", message: "no route" },
        { part: "server", message: "refused" },
        { part: "runs", message: "refused" },
      ],
    },
    finds: [
      "unreachable/repository critical",
      "unreachable/runs warning",
      "unreachable/server warning",
    ],
  },
  {
    title: "a changed configuration with faults",
    snapshot: { configFault: "config.yaml:3:1: x: no such key" },
    finds: ["config_refused/configuration warning"],
  },
];

for (const { title, snapshot, finds, limits } of CASES) {
  Deno.test(`the rules find ${title}`, () => {
    assert.deepEqual(found(aSnapshot(snapshot), { ...LIMITS, ...limits }), finds);
  });
}

Deno.test("the page says in Portuguese whatever a rule finds", () => {
  const said = new Set<string>();
  const formatTime = () => "23/11";
  for (const { snapshot, limits } of CASES) {
    const look = lookAt(aSnapshot(snapshot), { ...LIMITS, ...limits });
    for (const { rule, title, detail = "", hint = "" } of look.findings) {
      // What a program or a server said of the cause stays as it is.
      const own = [title, ...rule === "config_refused" ? [] : [detail]];
      const texts = rule === "run_failed" ? own : [...own, hint];
      for (const text of texts.filter((one) => one !== "")) {
        const portuguese = portugueseAlert(text, { rule, formatTime });
        assert.ok(portuguese !== undefined, `${rule}: ${text}`);
        assert.doesNotMatch(portuguese, /\{|\}|\b\d+ (days|hours|minutes|seconds)\b/, text);
        said.add(rule);
      }
    }
  }
  assert.deepEqual([...said].sort(), Object.keys(RULES).sort());
});

Deno.test("portugueseAlert() leaves alone what it does not know", () => {
  const formatTime = (time: Date) => time.toISOString();
  const say = (text: string, rule: string) => portugueseAlert(text, { rule, formatTime });
  assert.equal(say("something else", "wal_gap"), undefined);
  assert.equal(say("something else", "constructor"), undefined);
  assert.equal(say("a found it at never.", "backup_damaged"), undefined);
  assert.equal(
    say("verify found it at 2026-11-23T12:00:00.000Z.", "backup_damaged"),
    "verify descobriu isso em 2026-11-23T12:00:00.000Z.",
  );
  assert.equal(say("$& failed: {a} $1", "run_failed"), "$& falhou: {a} $1");
  assert.equal(
    say("the repository's disk has 82.0 GB of 1.0 TB free", "disk_low"),
    "o disco do repositório tem 82,0 GB de 1,0 TB livres",
  );
  assert.equal(say("7 more of this kind: wal gap", "wal_gap"), "mais 7 do mesmo tipo");
});

Deno.test("the rules tell what they cannot tell from what is over", () => {
  const blind = lookAt(
    aSnapshot({
      repository: undefined,
      server: undefined,
      runs: [],
      problems: [{ part: "runs", message: "x" }],
    }),
    LIMITS,
  );
  const alert = (rule: string) => ({ rule }) as Parameters<typeof blind.covers>[0];
  for (const rule of ["full_too_old", "wal_gap", "wal_lag", "wal_conflict", "run_failed"]) {
    assert.equal(blind.covers(alert(rule)), false, rule);
  }
  assert.equal(blind.covers(alert("unreachable")), true);
  const clear = lookAt(aSnapshot(), LIMITS);
  for (const rule of Object.keys(RULES).filter((name) => name !== "run_failed")) {
    assert.equal(clear.covers(alert(rule)), true, rule);
  }
});

Deno.test("a failed run is over when its operation has succeeded since, not when it is forgotten", () => {
  const alert = { rule: "run_failed", subject: "prune", since: before(HOUR).getTime() };
  const covers = (runs: AlertSnapshot["runs"]) =>
    lookAt(aSnapshot({ runs }), LIMITS).covers(
      alert as Parameters<ReturnType<typeof lookAt>["covers"]>[0],
    );
  assert.equal(covers([]), false);
  assert.equal(covers([aRun({ operation: "prune" }, before(2 * HOUR))]), false);
  assert.equal(covers([aRun({ operation: "verify" }, before(MINUTE))]), false);
  assert.equal(covers([aRun({ operation: "prune" }, before(MINUTE))]), true);
});

Deno.test("the rules cannot tell what the runs do not reach back to", () => {
  const runs = aSnapshot().runs.filter(({ operation }) => operation !== "prune");
  const { covers } = lookAt(aSnapshot({ runs }), LIMITS);
  assert.equal(covers({ rule: "prune_not_run" } as Parameters<typeof covers>[0]), false);
});

Deno.test("the rules name 20 gaps and count the rest", () => {
  const gaps = Array.from({ length: 5_000 }, (_, index) => {
    const name = `00000001000000${index.toString(16).toUpperCase().padStart(10, "0")}`;
    return { timeline: 1, fromWal: name, toWal: name };
  });
  const { findings } = lookAt(aSnapshot({ repository: aRepository({ gaps }) }), LIMITS);
  assert.equal(findings.length, 21);
  assert.match(findings.at(-1)!.title, /4980 more/);
});

Deno.test("the end of a run is about its own operation alone", () => {
  const failed = lookAtRun(aFailure("prune"))!;
  assert.deepEqual(failed.findings.map(({ subject }) => subject), ["prune"]);
  const alert = (rule: string, subject: string) =>
    ({ rule, subject }) as Parameters<typeof failed.covers>[0];
  assert.equal(failed.covers(alert("run_failed", "prune")), true);
  assert.equal(failed.covers(alert("run_failed", "backup full")), false);
  assert.equal(failed.covers(alert("wal_gap", "prune")), false);
  assert.equal(lookAtRun(aRun({ outcome: "interrupted" })), undefined);
  assert.equal(lookAtRun(aFailure("restore")), undefined);
  assert.equal(lookAtRun(aFailure("delete")), undefined);
});

Deno.test("the rules are pure: the same snapshot finds the same, and none is changed", () => {
  const part = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
  const snapshots = fc.record({
    damaged: fc.boolean(),
    gone: fc.boolean(),
    backlogMinutes: part(fc.nat(600)),
    fullDays: part(fc.nat(30)),
    message: fc.string({ unit: "binary" }),
  });
  fc.assert(
    fc.property(snapshots, ({ damaged, gone, backlogMinutes, fullDays, message }) => {
      const snapshot = aSnapshot({
        ...(damaged && { damaged: [{ subject: message, by: "drill", foundAt: TAKEN_AT }] }),
        ...(gone && { repository: undefined, problems: [{ part: "repository", message }] }),
        ...(!gone && fullDays !== undefined && {
          repository: aRepository({
            backups: [samplePhysical({ stoppedAt: before(fullDays * DAY).toISOString() })],
          }),
        }),
        ...(backlogMinutes !== undefined && {
          server: {
            ...server,
            backlog: { files: 1, bytes: 1, oldestAt: before(backlogMinutes * MINUTE) },
          },
        }),
      });
      const text = JSON.stringify(snapshot);
      const first = lookAt(snapshot, LIMITS).findings;
      assert.deepEqual(lookAt(snapshot, LIMITS).findings, first);
      assert.equal(JSON.stringify(snapshot), text);
      const names = first.map(({ rule }) => rule);
      assert.equal(names.includes("backup_damaged"), damaged);
      assert.equal(names.includes("unreachable"), gone);
      assert.equal(names.includes("full_too_old"), !gone && (fullDays ?? 0) > 8);
      assert.equal(names.includes("wal_lag"), (backlogMinutes ?? 0) > 10);
    }),
    { numRuns: 300 },
  );
});
