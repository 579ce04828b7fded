import assert from "node:assert/strict";
import fc from "fast-check";
import { NothingMatchesError } from "../../../../src/domain/errors.ts";
import { formatLsn, type Lsn, parseLsn } from "../../../../src/domain/lsn.ts";
import { rootHistory } from "../../../../src/domain/timeline_history.ts";
import { isOnHistory, timelineOfSegment } from "../../../../src/domain/timeline_path.ts";
import { lastSegmentNumber, segmentNumber } from "../../../../src/domain/wal.ts";
import type { ArchiveView } from "../../../../src/engine/recovery/archive_view.ts";
import { chooseBackup, type RecoveryPlan } from "../../../../src/engine/recovery/choose_backup.ts";
import { planRecovery } from "../../../../src/engine/recovery/plan_recovery.ts";
import type { RecoveryTexts } from "../../../../src/engine/recovery/recovery_target.ts";
import { parseRecoveryRequest } from "../../../../src/engine/recovery/recovery_target.ts";
import { MemoryStore } from "../../../../src/storage/memory.ts";
import {
  archiveOf,
  at,
  backupOf,
  historyOf,
  minute,
  PLACE,
  SEGMENT_BYTES,
  walName,
} from "../../../support/archives.ts";
import { sampleManifest } from "../../../support/manifests.ts";

const FIRST = backupOf("20261123T000100Z-F", { start: at(2, 40), stop: at(2, 300), minutes: 2 });
const SECOND = backupOf("20261123T000600Z-F", { start: at(7, 40), stop: at(8, 16), minutes: 8 });

/** One timeline, two backups, segments 2 to 12. */
const STRAIGHT = archiveOf({ runs: [[1, 2, 12]], backups: [FIRST, SECOND] });
/** The same with 5 and 6 lost. */
const HOLED = archiveOf({ runs: [[1, 2, 4], [1, 7, 12]], backups: [FIRST, SECOND] });
/** Timeline 2 left 1 in segment 5, which went on to 12; timeline 3 left 2 in segment 9. */
const BRANCHED = archiveOf({
  runs: [[1, 2, 12], [2, 5, 11], [3, 9, 14]],
  histories: [historyOf(2, [1, at(5, 300)]), historyOf(3, [1, at(5, 300)], [2, at(9, 100)])],
  backups: [FIRST, SECOND],
});

function iso(minutes: number): string {
  return minute(minutes).toISOString();
}

function choose(view: ArchiveView, texts: RecoveryTexts, id?: string) {
  const backup = view.backups.find((backup) => backup.id === id);
  const request = parseRecoveryRequest(texts)!;
  return chooseBackup(view, { request, ...(backup && { backup }) });
}

const chosen: readonly (readonly [
  what: string,
  view: ArchiveView,
  texts: RecoveryTexts,
  expected: readonly [id: string, timeline: number, from: string, to: string],
])[] = [
  ["the newest before a time", STRAIGHT, { to: iso(9) }, [
    SECOND.id,
    1,
    walName(1, 7),
    walName(1, 12),
  ]],
  ["that ended in the very moment", STRAIGHT, { to: iso(8) }, [
    SECOND.id,
    1,
    walName(1, 7),
    walName(1, 12),
  ]],
  ["the older one a moment earlier", STRAIGHT, { to: iso(7.99) }, [
    FIRST.id,
    1,
    walName(1, 2),
    walName(1, 12),
  ]],
  ["the newest before an LSN", STRAIGHT, { toLsn: formatLsn(at(9, 5)) }, [
    SECOND.id,
    1,
    walName(1, 7),
    walName(1, 9),
  ]],
  ["that stops at the very LSN", STRAIGHT, { toLsn: formatLsn(at(8, 16)) }, [
    SECOND.id,
    1,
    walName(1, 7),
    walName(1, 8),
  ]],
  ["the older one for one byte less", STRAIGHT, { toLsn: formatLsn(at(8, 15)) }, [
    FIRST.id,
    1,
    walName(1, 2),
    walName(1, 8),
  ]],
  ["the newest for the end", STRAIGHT, { latest: true }, [
    SECOND.id,
    1,
    walName(1, 7),
    walName(1, 12),
  ]],
  ["the newest for a transaction", STRAIGHT, { toXid: "742" }, [
    SECOND.id,
    1,
    walName(1, 7),
    walName(1, 12),
  ]],
  ["the newest for its own end", STRAIGHT, { immediate: true }, [
    SECOND.id,
    1,
    walName(1, 7),
    walName(1, 8),
  ]],
  ["before a gap", HOLED, { toLsn: formatLsn(at(4, 9)) }, [
    FIRST.id,
    1,
    walName(1, 2),
    walName(1, 4),
  ]],
  ["before a gap by time", HOLED, { to: iso(3.5) }, [FIRST.id, 1, walName(1, 2), walName(1, 4)]],
  ["behind a gap", HOLED, { latest: true }, [SECOND.id, 1, walName(1, 7), walName(1, 12)]],
  ["of an ancestor, before the fork", BRANCHED, { latest: true }, [
    FIRST.id,
    3,
    walName(1, 2),
    walName(3, 14),
  ]],
  ["of the branch that is named", BRANCHED, { latest: true, timeline: "1" }, [
    SECOND.id,
    1,
    walName(1, 7),
    walName(1, 12),
  ]],
  ["on the middle branch to its end", BRANCHED, { latest: true, timeline: "2" }, [
    FIRST.id,
    2,
    walName(1, 2),
    walName(2, 11),
  ]],
  ["with an LSN before the fork", BRANCHED, { toLsn: formatLsn(at(4, 1)) }, [
    FIRST.id,
    3,
    walName(1, 2),
    walName(1, 4),
  ]],
  ["with an LSN between the forks", BRANCHED, { toLsn: formatLsn(at(6)) }, [
    FIRST.id,
    3,
    walName(1, 2),
    walName(2, 6),
  ]],
  ["on its own timeline", BRANCHED, { toLsn: formatLsn(at(10)), timeline: "current" }, [
    SECOND.id,
    1,
    walName(1, 7),
    walName(1, 10),
  ]],
  ["for its own end, on its own timeline", BRANCHED, { immediate: true }, [
    SECOND.id,
    1,
    walName(1, 7),
    walName(1, 8),
  ]],
];
for (const [what, view, texts, [id, timeline, from, to]] of chosen) {
  Deno.test(`chooseBackup() takes the backup ${what}: ${JSON.stringify(texts)}`, () => {
    const plan = choose(view, texts);
    assert.deepEqual([plan.backup.id, plan.timeline, plan.wal.from, plan.wal.to], [
      ...[id, timeline, from, to],
    ]);
  });
}

Deno.test("chooseBackup() takes the newest backup by the clock, whatever branch it is on", () => {
  // Timeline 1 was backed up at a later position, and given up; timeline 2 was backed up after that.
  const given = backupOf("20261123T000900Z-F", { start: at(11, 40), stop: at(11, 90), minutes: 9 });
  const newest = backupOf("20261123T001300Z-F", {
    ...{ timeline: 2, start: at(6, 40), stop: at(6, 90), minutes: 13 },
  });
  const view = archiveOf({
    runs: [[1, 2, 12], [2, 5, 14]],
    histories: [historyOf(2, [1, at(5, 300)])],
    backups: [FIRST, given, newest],
  });
  for (const target of [{ immediate: true }, { latest: true }, { to: iso(13.5) }]) {
    const plan = choose(view, { ...target, timeline: "current" });
    assert.deepEqual([plan.backup.id, plan.timeline], [newest.id, 2], JSON.stringify(target));
  }
  const early = choose(view, { to: iso(9.5), timeline: "current" });
  assert.deepEqual([early.backup.id, early.timeline], [given.id, 1]);
});

/** Archiving began with segment 3. */
const BEFORE = archiveOf({ runs: [[1, 3, 9]], backups: [FIRST] });

const refused: readonly (readonly [
  what: string,
  view: ArchiveView,
  texts: RecoveryTexts,
  message: RegExp,
])[] = [
  [
    "a time before the first backup",
    STRAIGHT,
    { to: iso(1.9) },
    /is before the end of backup 20261123T000100Z-F/,
  ],
  [
    "an LSN before the first backup",
    STRAIGHT,
    { toLsn: formatLsn(at(2, 299)) },
    /is before the end of backup/,
  ],
  [
    "an LSN behind the archive",
    STRAIGHT,
    { toLsn: formatLsn(at(13)) },
    /is behind the end of the archive/,
  ],
  [
    "a time behind the archive",
    STRAIGHT,
    { to: iso(13.5) },
    /newest segment was stored at 2026-11-23T00:12/,
  ],
  [
    "an LSN in a gap",
    HOLED,
    { toLsn: formatLsn(at(5, 1)) },
    /segments 0{7}10{15}5 to 0{7}10{15}6 are missing/,
  ],
  [
    "an LSN behind a gap, before the next backup",
    HOLED,
    { toLsn: formatLsn(at(7)) },
    /are missing between backup 20261123T000100Z-F and LSN/,
  ],
  ["a time in a gap", HOLED, { to: iso(6) }, /are missing/],
  [
    "the end behind a gap on the way of the only backup",
    archiveOf({ runs: [[1, 2, 4], [1, 6, 9]], backups: [FIRST] }),
    { latest: true },
    /segment 0{7}10{15}5 is missing/,
  ],
  [
    "a time when nothing is archived",
    archiveOf({ backups: [FIRST] }),
    { to: iso(2.1) },
    /none is archived/,
  ],
  ["an LSN when nothing is archived", archiveOf({ backups: [FIRST] }), {
    toLsn: formatLsn(at(2, 301)),
  }, /behind the end/],
  [
    "to roll a backup forward from before the archive began",
    BEFORE,
    { latest: true },
    /segment 0{7}10{15}2 is missing between backup 20261123T000100Z-F and the end of the archive/,
  ],
  [
    "even the end of such a backup, which recovery would ask the archive for",
    BEFORE,
    { immediate: true },
    /segment 0{7}10{15}2 is missing/,
  ],
  [
    "a timeline that is not there",
    BRANCHED,
    { latest: true, timeline: "7" },
    /nothing of timeline 7/,
  ],
  [
    "a branch whose history is lost",
    archiveOf({ runs: [[1, 2, 5], [2, 5, 9]], backups: [FIRST] }),
    { latest: true },
    /00000002\.history.*is not archived/,
  ],
  [
    "a branch that no backup lies on",
    archiveOf({
      runs: [[1, 2, 12], [2, 5, 9]],
      histories: [historyOf(2, [1, at(5, 300)])],
      backups: [SECOND],
    }),
    { latest: true },
    /does not lie on the way to the end of the archive on timeline 2/,
  ],
];
for (const [what, view, texts, message] of refused) {
  Deno.test(`chooseBackup() refuses ${what}`, () => {
    assert.throws(() => choose(view, texts), (error) => {
      assert.ok(error instanceof NothingMatchesError, String(error));
      assert.match(error.message, message);
      assert.match(error.hint ?? "", /^can be restored: .*timeline \d|^it holds timeline 1, 2, 3$/);
      return true;
    });
  });
}

Deno.test("chooseBackup() names the windows of a holed archive", () => {
  assert.throws(() => choose(HOLED, { to: iso(6) }), {
    hint: "can be restored: timeline 1 from 2026-11-23T00:02:00Z = 0/200012C to " +
      "2026-11-23T00:04:00Z = 0/5000000; timeline 1 from 2026-11-23T00:08:00Z = 0/8000010 to " +
      "2026-11-23T00:12:00Z = 0/D000000",
  });
});

Deno.test("chooseBackup() names a first moment that it takes", () => {
  const backup = backupOf(FIRST.id, { start: at(2, 40), stop: at(2, 300), minutes: 2.0053 });
  const view = archiveOf({ runs: [[1, 2, 12]], backups: [backup] });
  assert.throws(() => choose(view, { to: iso(0) }), (error) => {
    assert.ok(error instanceof NothingMatchesError);
    const to = / from (\S+) = /.exec(error.hint!)![1]!;
    assert.equal(to, "2026-11-23T00:02:00.318Z");
    assert.equal(choose(view, { to }).backup.id, backup.id);
    return true;
  });
});

Deno.test("chooseBackup() names pg_switch_wal() for what may only not be archived yet", () => {
  const remedy = /; SELECT pg_switch_wal\(\) on the server, if it still runs, archives what/;
  for (const texts of [{ to: iso(30) }, { toLsn: formatLsn(at(14)) }]) {
    assert.throws(() => choose(STRAIGHT, texts), { hint: remedy });
  }
  assert.match(choose(STRAIGHT, { to: iso(12.5) }).notes.join(), remedy);
  // What is missing on the way, or lies before the backup, no server archives any more.
  for (const [view, texts] of [[HOLED, { to: iso(6) }], [STRAIGHT, { to: iso(0) }]] as const) {
    assert.throws(() => choose(view, texts), (error) => {
      assert.ok(error instanceof NothingMatchesError);
      assert.doesNotMatch(error.hint!, /pg_switch_wal/);
      return true;
    });
  }
});

Deno.test("chooseBackup() starts from the backup that is named, and checks it as well", () => {
  assert.equal(choose(STRAIGHT, { latest: true }, FIRST.id).backup.id, FIRST.id);
  assert.throws(() => choose(STRAIGHT, { to: iso(5) }, SECOND.id), /is before the end of backup/);
  assert.throws(() => choose(BRANCHED, { latest: true }, SECOND.id), /does not lie on the way/);
});

Deno.test("chooseBackup() takes an older backup when the newest one's own WAL is lost", () => {
  const long = backupOf("20261123T000200Z-F", { start: at(2, 40), stop: at(10, 16), minutes: 10 });
  const short = backupOf("20261123T000500Z-F", { start: at(5, 40), stop: at(9, 16), minutes: 9 });
  const view = archiveOf({ runs: [[1, 2, 2], [1, 4, 12]], backups: [long, short] });
  assert.equal(choose(view, { toLsn: formatLsn(at(11)) }).backup.id, short.id);
  assert.throws(() => choose(view, { latest: true }, long.id), /0{7}10{15}3 is missing/);
});

Deno.test("chooseBackup() tells of another branch that holds the moment", () => {
  const byTime = choose(BRANCHED, { to: iso(9) });
  assert.match(byTime.notes.join("\n"), /--timeline 1 restores it there/);
  const byLsn = choose(BRANCHED, { toLsn: formatLsn(at(10)) });
  assert.deepEqual(byLsn.notes.map((note) => note.slice(0, 10)), ["timeline 1", "timeline 2"]);
  assert.deepEqual(choose(STRAIGHT, { to: iso(9) }).notes, []);
});

Deno.test("chooseBackup() says when only PostgreSQL can tell", () => {
  assert.match(choose(STRAIGHT, { toName: "x" }).notes.join(), /only the log tells/);
  assert.match(choose(STRAIGHT, { to: iso(12.5) }).notes.join(), /stops with FATAL/);
  const only = archiveOf({ runs: [[1, 2, 4], [1, 6, 9]], backups: [FIRST] });
  const plan = choose(only, { toXid: "742" });
  assert.match(plan.notes.join(), /breaks off at 000000010000000000000005/);
  assert.deepEqual(plan.gaps, [{ timeline: 1, fromWal: walName(1, 5), toWal: walName(1, 5) }]);
});

Deno.test("planRecovery() says why WAL does not apply to dumps", async () => {
  const request = parseRecoveryRequest({ to: iso(9) })!;
  const options = { cluster: "main", backups: [sampleManifest()], request };
  await assert.rejects(planRecovery(new MemoryStore(), options), (error) => {
    assert.ok(error instanceof NothingMatchesError);
    assert.match(error.message, /backup 20261123T022415Z-L is a logical one/);
    assert.match(error.hint!, /cannot be applied to a dump.*--method physical/);
    return true;
  });
});

Deno.test("planRecovery() finds a time of the system before an upgrade, and no LSN of it", async () => {
  const old = { ...FIRST, systemIdentifier: "7000000000000000000" };
  const backups = [old, SECOND];
  const store = new MemoryStore();
  for (const number of [2, 3]) {
    const folder = `main/${old.systemIdentifier}/wal/00000001/00000000`;
    await store.put(`${folder}/${walName(1, number)}.zst`, new Uint8Array(1));
  }
  const byTime = {
    cluster: PLACE.cluster,
    backups,
    request: parseRecoveryRequest({ to: iso(3) })!,
  };
  assert.equal((await planRecovery(store, byTime)).backup.systemIdentifier, old.systemIdentifier);
  const toLsn = formatLsn(at(3));
  const byLsn = { cluster: PLACE.cluster, backups, request: parseRecoveryRequest({ toLsn })! };
  await assert.rejects(
    planRecovery(store, byLsn),
    /is before the end of backup 20261123T000600Z-F/,
  );
});

const NUMBERS = 12;
const quarter = (value: number): Lsn => BigInt(value) * BigInt(SEGMENT_BYTES / 4);

/** Timeline 1, its child 2, and 3 that left either of them; holes; backups anywhere. */
const anyArchive = fc.record({
  fork2: fc.integer({ min: 1, max: NUMBERS * 4 }),
  fork3: fc.integer({ min: 1, max: NUMBERS * 4 }),
  holes: fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.nat({ max: NUMBERS })), {
    maxLength: 4,
  }),
  backups: fc.array(
    fc.tuple(
      fc.integer({ min: 1, max: 3 }),
      fc.nat({ max: NUMBERS * 4 }),
      fc.integer({ min: 1, max: 9 }),
    ),
    { minLength: 1, maxLength: 5 },
  ),
}).map(({ fork2, fork3, holes, backups }) => {
  const one = [1, quarter(fork2)] as const;
  const two = [fork3 >= fork2 ? 2 : 1, quarter(fork3)] as const;
  const gone = new Set(holes.map(([timeline, number]) => `${timeline}/${number}`));
  const firsts = [0, Math.floor(fork2 / 4), Math.floor(fork3 / 4)];
  return archiveOf({
    histories: [historyOf(2, one), historyOf(3, ...(fork3 >= fork2 ? [one, two] : [two]))],
    runs: firsts.flatMap((first, index) =>
      Array.from({ length: NUMBERS - first }, (_, step) => [index + 1, first + step] as const)
    ).filter(([timeline, number]) => !gone.has(`${timeline}/${number}`))
      .map(([timeline, number]) => [timeline, number, number] as const),
    backups: backups.map(([timeline, start, length], index) =>
      backupOf(`20261123T00${String(index).padStart(2, "0")}00Z-F`, {
        timeline,
        start: quarter(start) + 40n,
        stop: quarter(start + length) + 7n,
        minutes: Math.ceil((start + length) / 4),
      })
    ),
  });
});

/** The definition, segment by segment: which backups recovery to `lsn` on `timeline` may use. */
function usable(view: ArchiveView, timeline: number, lsn: Lsn): readonly string[] {
  const history = view.histories.get(timeline)?.history ?? rootHistory(timeline);
  const there = (number: number) => {
    const name = timelineOfSegment(history, number, SEGMENT_BYTES);
    return view.runs.get(name)?.some(({ first, last }) => first <= number && number <= last);
  };
  return view.backups.filter((backup) => {
    const stop = parseLsn(backup.stopLsn!);
    if (stop > lsn || !isOnHistory(history, { timeline: backup.timeline!, lsn: stop })) {
      return false;
    }
    const range = (first: number, last: number) =>
      Array.from({ length: Math.max(0, last - first + 1) }, (_, step) => first + step);
    const start = segmentNumber(parseLsn(backup.startLsn!), SEGMENT_BYTES);
    const own = range(start, lastSegmentNumber(stop, SEGMENT_BYTES));
    const missing = own.find((number) => !there(number));
    if (missing === undefined) {
      return range(own.at(-1)! + 1, segmentNumber(lsn, SEGMENT_BYTES)).every(there) || lsn === stop;
    }
    // The backup holds its own WAL, but the archive refuses what it lacks when it goes on behind.
    return stop === lsn && !range(missing, NUMBERS + 3).some(there);
  }).map(({ id }) => id);
}

Deno.test("chooseBackup() reaches an LSN exactly when some backup can (fast-check)", () => {
  const targets = fc.tuple(
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: NUMBERS * 4 }),
  );
  let [reached, refused] = [0, 0];
  fc.assert(
    fc.property(anyArchive, targets, (view, [timeline, place]) => {
      const lsn = quarter(place) + 9n;
      const expected = usable(view, timeline, lsn);
      try {
        const plan = choose(view, { toLsn: formatLsn(lsn), timeline: String(timeline) });
        reached += 1;
        assert.ok(expected.includes(plan.backup.id));
        const stops = view.backups.filter(({ id }) => expected.includes(id))
          .map(({ stopLsn }) => parseLsn(stopLsn!));
        assert.ok(stops.every((stop) => stop <= parseLsn(plan.backup.stopLsn!)));
      } catch (error) {
        if (!(error instanceof NothingMatchesError)) throw error;
        refused += 1;
        assert.deepEqual(expected, [], error.message);
      }
    }),
    { numRuns: 600 },
  );
  assert.ok(reached > 60 && refused > 60, `${reached} reached, ${refused} refused`);
});

/** Which segments PostgreSQL replays, as XLogFileReadAnyTLI asks for them; undefined: it stops with FATAL. */
function replayed(view: ArchiveView, { backup, timeline }: RecoveryPlan): string[] | undefined {
  const { ancestors } = view.histories.get(timeline)?.history ?? rootHistory(timeline);
  const begins = [0n, ...ancestors.map(({ switchLsn }) => switchLsn)];
  const branches = [...ancestors.map(({ timeline }) => timeline), timeline]
    .map((timeline, index) => ({ timeline, first: segmentNumber(begins[index]!, SEGMENT_BYTES) }))
    .toReversed();
  const stop = lastSegmentNumber(parseLsn(backup.stopLsn!), SEGMENT_BYTES);
  const runs = (timeline: number) => view.runs.get(timeline) ?? [];
  const names: string[] = [];
  let reading = 0;
  for (let next = segmentNumber(parseLsn(backup.startLsn!), SEGMENT_BYTES);; next += 1) {
    let found: number | undefined;
    for (const { timeline, first } of branches) {
      if (timeline < reading) break;
      if (next < first) continue;
      const archived = runs(timeline).some(({ first, last }) => first <= next && next <= last);
      if (!archived && runs(timeline).some(({ last }) => last > next)) return undefined; // a gap
      if (!archived && (timeline !== backup.timeline || next > stop)) continue; // its own WAL
      found = timeline;
      break;
    }
    if (found === undefined) return names;
    reading = found;
    names.push(walName(found, next));
  }
}

Deno.test("chooseBackup() plans what PostgreSQL replays to the end, on no other branch (fast-check)", () => {
  let [planned, refused] = [0, 0];
  fc.assert(
    fc.property(anyArchive, fc.integer({ min: 1, max: 3 }), (view, timeline) => {
      for (const target of [{ latest: true }, { toXid: "742" }] as const) {
        let plan: RecoveryPlan;
        try {
          plan = choose(view, { ...target, timeline: String(timeline) });
        } catch (error) {
          if (!(error instanceof NothingMatchesError)) throw error;
          refused += 1;
          continue;
        }
        planned += 1;
        const names = replayed(view, plan);
        if (names === undefined && target.toXid) continue; // a gap: the plan has a note
        const { history = rootHistory(timeline) } = view.histories.get(timeline) ?? {};
        const own = Array.from({ length: plan.wal.segments }, (_, step) => {
          const number = segmentNumber(parseLsn(plan.backup.startLsn!), SEGMENT_BYTES) + step;
          return walName(timelineOfSegment(history, number, SEGMENT_BYTES), number);
        });
        assert.deepEqual(names, own);
      }
    }),
    { numRuns: 600 },
  );
  assert.ok(planned > 60 && refused > 60, `${planned} planned, ${refused} refused`);
});
