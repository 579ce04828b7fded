import assert from "node:assert/strict";
import { formatLsn } from "../../../../src/domain/lsn.ts";
import type { ArchiveView } from "../../../../src/engine/recovery/archive_view.ts";
import { chooseBackup } from "../../../../src/engine/recovery/choose_backup.ts";
import type { RecoveryTexts } from "../../../../src/engine/recovery/recovery_target.ts";
import { parseRecoveryRequest } from "../../../../src/engine/recovery/recovery_target.ts";
import { archiveOf, at, backupOf, historyOf, minute, walName } from "../../../support/archives.ts";

const FIRST = backupOf("20261123T000100Z-F", { start: at(2, 40), stop: at(2, 300), minutes: 2 });
const SECOND = backupOf("20261123T000600Z-F", { start: at(7, 40), stop: at(8, 16), minutes: 8 });

function iso(minutes: number): string {
  return minute(minutes).toISOString();
}

function choose(view: ArchiveView, texts: RecoveryTexts, id?: string) {
  const backup = view.backups.find((backup) => backup.id === id);
  const request = parseRecoveryRequest(texts)!;
  return chooseBackup(view, { request, ...(backup && { backup }) });
}

/** Timeline 2 left 1 in segment 5 and was given up in 8; timeline 1 went on to 12. */
const PARTS = {
  runs: [[1, 2, 12], [2, 5, 8]],
  histories: [historyOf(2, [1, at(5, 300)])],
  backups: [FIRST],
} as const;
const GIVEN_UP = archiveOf(PARTS);
const GOES_ON = "timeline 1 goes on until 2026-11-23T00:12:00Z, later than timeline 2: " +
  "--timeline 1 follows it";

Deno.test("chooseBackup() tells of a branch that was archived longer than the latest timeline", () => {
  for (const texts of [{ latest: true }, { standby: true }]) {
    const plan = choose(GIVEN_UP, texts);
    assert.deepEqual([plan.timeline, plan.notes], [2, [GOES_ON]]);
  }
  assert.ok(choose(GIVEN_UP, { toName: "x" }).notes.includes(GOES_ON));
  assert.deepEqual(choose(GIVEN_UP, { latest: true, timeline: "2" }).notes, []);
  assert.deepEqual(choose(GIVEN_UP, { latest: true, timeline: "1" }).notes, []);
  assert.deepEqual(choose(GIVEN_UP, { immediate: true }).notes, []);
  const newer = archiveOf({ ...PARTS, runs: [[1, 2, 8], [2, 5, 9]] });
  assert.deepEqual(choose(newer, { latest: true }).notes, []);
});

Deno.test("chooseBackup() refuses a branch without its first segment, where PostgreSQL would take another's", () => {
  const view = archiveOf({ ...PARTS, runs: [[1, 2, 12]] });
  for (const texts of [{ latest: true }, { standby: true }, { toXid: "742" }, { toName: "x" }]) {
    assert.throws(() => choose(view, texts), {
      message: "WAL segment 000000020000000000000005 is not archived, and PostgreSQL would go on " +
        "with timeline 1 in its place, past 0/500012C, where timeline 2 left it",
      hint:
        /^--timeline 1 follows that one, --timeline 1 --to-lsn 0\/500012C --exclusive ends where/,
    });
    assert.equal(choose(view, { ...texts, timeline: "1" }).timeline, 1);
  }
  const parted = { toLsn: "0/500012C", exclusive: true, timeline: "1" };
  assert.equal(choose(view, parted).wal.to, walName(1, 5));
  assert.throws(() => choose(view, { to: iso(9) }), { hint: /^--timeline 1 reaches it; / });
  assert.throws(() => choose(view, { to: iso(5.1) }), { message: /would go on with timeline 1/ });
  const early = choose(view, { to: iso(4.5) }); // the history was archived in minute 5
  assert.match(early.notes.join(), /PostgreSQL would read what timeline 1 wrote in its place/);
  assert.equal(choose(view, { toLsn: formatLsn(at(4, 1)) }).timeline, 2);
  assert.equal(choose(view, { immediate: true, timeline: "2" }).timeline, 2);
  // Nothing of timeline 1 leads astray: it ends before the fork, or 2 has begun.
  for (const runs of [[[1, 2, 4]], [[1, 2, 12], [2, 5, 5]]] as const) {
    assert.equal(choose(archiveOf({ ...PARTS, runs }), { latest: true }).timeline, 2);
  }
});

Deno.test("chooseBackup() names the timeline that reaches what the latest one does not", () => {
  for (const texts of [{ to: iso(10) }, { toLsn: formatLsn(at(10)) }]) {
    assert.throws(() => choose(GIVEN_UP, texts), {
      message: /is behind the end of the archive/,
      hint: /^--timeline 1 reaches it; can be restored: timeline 1 /,
    });
    assert.throws(() => choose(GIVEN_UP, { ...texts, timeline: "2" }), { hint: /^--timeline 1 / });
    assert.equal(choose(GIVEN_UP, { ...texts, timeline: "1" }).wal.to.slice(0, 8), "00000001");
  }
  assert.throws(() => choose(GIVEN_UP, { to: iso(14) }), { hint: /^can be restored: / });
  const second = archiveOf({ ...PARTS, backups: [FIRST, SECOND] });
  assert.throws(() => choose(second, { to: iso(10) }, SECOND.id), { hint: /^--timeline 1 / });
  assert.throws(() => choose(second, { to: iso(7) }, SECOND.id), { hint: /^can be restored: / });
});
