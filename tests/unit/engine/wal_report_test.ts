import assert from "node:assert/strict";
import { reportWal } from "../../../src/engine/wal_report.ts";
import { archiveOf, at, backupOf, historyOf, minute, walName } from "../../support/archives.ts";

const BACKUP = backupOf("20261123T000100Z-F", { start: at(2, 40), stop: at(2, 300), minutes: 2 });

Deno.test("reportWal() sums up each timeline, and only the newest one is open", () => {
  const view = archiveOf({
    runs: [[1, 2, 3], [1, 5, 9], [2, 7, 12]],
    histories: [historyOf(2, [1, at(7, 300)])],
    backups: [BACKUP],
  });
  const report = reportWal(view, { now: minute(13) });
  assert.deepEqual(report.timelines, [
    {
      ...{ timeline: 1, parent: undefined, firstWal: walName(1, 2), lastWal: walName(1, 9) },
      ...{ lastStoredAt: minute(9), segments: 7, storedBytes: 7000 },
    },
    {
      ...{ timeline: 2, parent: { timeline: 1, switchLsn: at(7, 300), reason: "test" } },
      ...{ firstWal: walName(2, 7), lastWal: walName(2, 12), lastStoredAt: minute(12) },
      ...{ segments: 6, storedBytes: 6000 },
    },
  ]);
  assert.deepEqual(report.gaps, [{ timeline: 1, fromWal: walName(1, 4), toWal: walName(1, 4) }]);
  assert.deepEqual(
    report.windows.map(({ timeline, from, to, open }) => [timeline, from, to, open]),
    [[1, minute(2), minute(3), false]],
  );
  assert.deepEqual([report.lastArchived, report.lastArchivedAt, report.segments], [
    ...[walName(2, 12), minute(12), 13],
  ]);
});

Deno.test("reportWal() tells the lag of a window that still grows, and of no other", () => {
  const view = archiveOf({
    runs: [[1, 2, 9], [2, 7, 12]],
    histories: [historyOf(2, [1, at(7, 300)])],
    backups: [BACKUP],
  });
  const { windows } = reportWal(view, { now: minute(13) });
  assert.deepEqual(
    windows.map(({ timeline, from, to, open, lagSeconds }) => ({
      ...{ timeline, from, to, open, lagSeconds },
    })),
    [
      { timeline: 1, from: minute(2), to: minute(9), open: false, lagSeconds: undefined },
      { timeline: 2, from: minute(7), to: minute(12), open: true, lagSeconds: 60 },
    ],
  );
});

Deno.test("reportWal() tells the lag of the timeline that goes on, after a promotion given up", () => {
  const view = archiveOf({
    runs: [[1, 2, 12], [2, 7, 9]],
    histories: [historyOf(2, [1, at(7, 300)])],
    backups: [BACKUP],
  });
  const { windows, lastArchived } = reportWal(view, { now: minute(13) });
  assert.deepEqual(
    windows.map(({ timeline, open, lagSeconds }) => [timeline, open, lagSeconds]),
    [[1, true, 60], [2, false, undefined]],
  );
  assert.equal(lastArchived, walName(1, 12));
});

Deno.test("reportWal() knows a backup's own moment when nothing is archived", () => {
  const { windows, lastArchived, segments } = reportWal(archiveOf({ backups: [BACKUP] }), {
    now: minute(5),
  });
  assert.deepEqual([windows.length, windows[0]!.from, windows[0]!.to, lastArchived, segments], [
    ...[1, minute(2), minute(2), undefined, 0],
  ]);
});
