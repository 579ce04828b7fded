import type { OpenAlert } from "../../src/service/alerts/alert_state.ts";
import type { PageView } from "../../src/service/page/page_view.ts";
import { aFailure, anEntry, aRepository, aRun, aSnapshot, before } from "./alerts/snapshots.ts";
import { samplePhysical } from "./manifests.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** A page on which there is one of everything, gaps and alerts too. */
export function aBusyView(changes: { readonly label?: string } = {}): PageView {
  const backups = Array.from({ length: 60 }, (_, index) => {
    const stoppedAt = before((60 - index) * 6 * HOUR).toISOString();
    const kind = index % 4 === 0 ? "full" : "incremental";
    return samplePhysical({
      id: `${stoppedAt.slice(0, 19).replace(/[-:]/g, "")}Z-${kind === "full" ? "F" : "I"}`,
      ...{ stoppedAt, kind },
      label: changes.label ?? (kind === "full" ? "diario" : null),
      rawBytes: kind === "full" ? 48e9 : 2e9,
      storedBytes: kind === "full" ? 11e9 : 4e8,
    });
  });
  const lsn = { fromLsn: 0n, toLsn: 1n, backupIds: [] };
  const repository = aRepository({
    backups,
    unreadable: [{ key: "main/1/backups/x/backup.json", reason: "it is not JSON" }],
    windows: [
      {
        ...lsn,
        timeline: 1,
        from: before(15 * DAY),
        to: before(9 * DAY),
        open: false,
        lagSeconds: undefined,
      },
      {
        ...lsn,
        timeline: 1,
        from: before(8 * DAY),
        to: before(3 * DAY),
        open: false,
        lagSeconds: undefined,
      },
      {
        ...lsn,
        timeline: 2,
        from: before(3 * DAY),
        to: before(60_000),
        open: true,
        lagSeconds: 60,
      },
    ],
    gaps: [{
      timeline: 1,
      fromWal: "0000000100000000000000A1",
      toWal: "0000000100000000000000A7",
    }],
    walStoredBytes: 9e9,
    backupStoredBytes: backups.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
  });
  const base = aSnapshot();
  return {
    snapshot: {
      ...base,
      repository,
      server: {
        archiving: base.server!.archiving,
        backlog: { files: 3, bytes: 48e6, oldestAt: before(14 * 60_000) },
      },
      runs: [
        aFailure(),
        ...base.runs,
        aRun({ operation: "backup incremental", outcome: "interrupted" }, before(2 * DAY)),
      ],
      schedule: [
        anEntry({
          timezone: "America/Sao_Paulo",
          last: {
            due: before(DAY),
            startedAt: before(DAY),
            finishedAt: before(DAY - HOUR),
            outcome: "succeeded",
            exitStatus: 0,
            message: undefined,
          },
        }),
        anEntry({
          name: "six-hourly",
          cron: "0 */6 * * *",
          run: "backup incremental",
          nextRun: before(-3 * HOUR),
        }),
      ],
    },
    alerts: [
      anAlert({ severity: "critical" }),
      anAlert({
        rule: "wal_lag",
        severity: "critical",
        title: "3 WAL files wait to be archived, the oldest for 14 minutes",
        detail: "archive_command failed 9 times, last with 0000000200000000000000B3. " +
          "Until then the last 14 minutes cannot be restored, and pg_wal grows.",
        hint: "the server's log says why its archive_command fails",
      }),
      anAlert({
        rule: "disk_low",
        severity: "warning",
        title: "the repository's disk has 82.0 GB of 1.0 TB free",
        detail: null,
        hint: "less than 10 % are left; make room before it is full",
      }),
    ],
    storage: Array.from({ length: 40 }, (_, index) => ({
      at: before((40 - index) * DAY),
      bytes: 4e10 + index * 5e9 - (index > 25 ? 8e10 : 0),
    })),
  };
}

/** A page on which all is well. */
export function aCalmView(): PageView {
  return { snapshot: aSnapshot(), alerts: [], storage: [] };
}

/** An alert that holds, with whatever a test cares about. */
export function anAlert(alert: Partial<OpenAlert> = {}): OpenAlert {
  return {
    key: "wal_gap/x",
    rule: "wal_gap",
    subject: "x",
    severity: "critical",
    title:
      "WAL segments 0000000100000000000000A1 to 0000000100000000000000A7 are missing in the archive",
    detail: "No moment of timeline 1 behind them can be restored from a backup that ended before.",
    hint: "does the server still have them in pg_wal? If not, take a backup now",
    since: before(2 * HOUR).getTime(),
    seen: 3,
    announcedAt: before(HOUR).getTime(),
    clearedAt: null,
    ...alert,
  };
}
