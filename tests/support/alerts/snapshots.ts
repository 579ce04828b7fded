import type { RunRecord } from "../../../src/catalog/catalog.ts";
import type { AlertSnapshot, RuleLimits } from "../../../src/service/alerts/rules/rule.ts";
import type { EntrySnapshot, RepositorySnapshot } from "../../../src/service/snapshot.ts";
import { samplePhysical } from "../manifests.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** When the snapshots of tests are taken, unless they say otherwise. */
export const TAKEN_AT = new Date("2026-11-23T12:00:00.000Z");

/** The limits that the configuration has when it says nothing, and a drill every 35 days. */
export const LIMITS: RuleLimits = {
  fullMaxAge: 8 * DAY,
  walLag: 10 * MINUTE,
  diskFree: 0.1,
  pruneMaxAge: 8 * DAY,
  drillMaxAge: 35 * DAY,
  verifyMaxAge: 8 * DAY,
  scheduleLate: 15 * MINUTE,
  expiryWarning: 14 * DAY,
};

/** A moment so long before another. */
export function before(milliseconds: number, of = TAKEN_AT): Date {
  return new Date(of.getTime() - milliseconds);
}

/** A run, with whatever a test cares about. */
export function aRun(run: Partial<RunRecord> = {}, finishedAt = before(HOUR)): RunRecord {
  return {
    runId: crypto.randomUUID(),
    cluster: "main",
    operation: "backup full",
    outcome: "succeeded",
    startedAt: before(5 * MINUTE, finishedAt).toISOString(),
    finishedAt: finishedAt.toISOString(),
    durationSeconds: 300,
    backupId: null,
    rawBytes: null,
    storedBytes: null,
    error: null,
    host: "db1",
    toolVersion: "0.1.0",
    ...run,
  };
}

/** A run that failed. */
export function aFailure(operation = "backup full", code = "POSTGRES_REFUSED"): RunRecord {
  return aRun({
    operation,
    outcome: "failed",
    error: { code, message: "the server at db:5432 refuses", hint: "is it up?" },
  }, before(10 * MINUTE));
}

/** A repository in which all is well at `takenAt`. */
export function aRepository(
  repository: Partial<RepositorySnapshot> = {},
  takenAt = TAKEN_AT,
): RepositorySnapshot {
  const stoppedAt = before(20 * HOUR, takenAt).toISOString();
  return {
    location: "s3://backups/main",
    backups: [samplePhysical({ stoppedAt, kind: "full" })],
    unreadable: [],
    windows: [],
    gaps: [],
    lastArchived: "0000000100000000000000A5",
    lastArchivedAt: before(MINUTE, takenAt),
    walSegments: 165,
    walStoredBytes: 1_000_000,
    backupStoredBytes: 10_000_000,
    disk: { freeBytes: 500e9, totalBytes: 1000e9 },
    ...repository,
  };
}

/** An entry of the schedule that is on time. */
export function anEntry(entry: Partial<EntrySnapshot> = {}, takenAt = TAKEN_AT): EntrySnapshot {
  return {
    name: "weekly",
    cron: "0 2 * * 0",
    run: "backup full --label weekly",
    kind: "backup",
    timezone: undefined,
    nextRun: new Date(takenAt.getTime() + DAY),
    last: undefined,
    ...entry,
  };
}

/** A snapshot in which nothing is wrong, with whatever a test cares about. */
export function aSnapshot(snapshot: Partial<AlertSnapshot> = {}): AlertSnapshot {
  const takenAt = snapshot.takenAt ?? TAKEN_AT;
  const recent = before(HOUR, takenAt);
  return {
    cluster: "main",
    host: "db1",
    version: "0.1.0",
    takenAt,
    tookSeconds: 0.2,
    repository: aRepository({}, takenAt),
    server: {
      archiving: {
        mode: "on",
        command: "backupctl wal-push %p",
        byBackupctl: true,
        lastArchived: "0000000100000000000000A5",
        lastArchivedAt: before(MINUTE, takenAt),
        lastFailed: undefined,
        lastFailedAt: undefined,
        failedCount: 0,
      },
      backlog: { files: 0, bytes: 0, oldestAt: undefined },
    },
    runs: ["backup full", "prune", "drill", "verify"].map((operation) =>
      aRun({ operation }, recent)
    ),
    schedule: [anEntry({}, takenAt)],
    leader: { here: true, holder: "db1/1" },
    problems: [],
    configFault: undefined,
    expiries: [{ what: "the client certificate", at: new Date(takenAt.getTime() + 90 * DAY) }],
    disks: [{ what: "the state folder", freeBytes: 50e9, totalBytes: 100e9 }],
    damaged: [],
    ...snapshot,
  };
}
