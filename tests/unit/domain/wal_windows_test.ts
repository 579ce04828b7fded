import assert from "node:assert/strict";
import fc from "fast-check";
import { MiB } from "../../../src/domain/bytes.ts";
import type { Lsn } from "../../../src/domain/lsn.ts";
import type { TimelineHistory } from "../../../src/domain/timeline_history.ts";
import { rootHistory } from "../../../src/domain/timeline_history.ts";
import { isOnHistory } from "../../../src/domain/timeline_path.ts";
import type { ArchivedSegment, WalArchive, WalBackup } from "../../../src/domain/wal_windows.ts";
import { coverTimelines, segmentsBetween } from "../../../src/domain/wal_windows.ts";

const BYTES = 16 * MiB;
const at = (segment: number, offset = 0): Lsn => BigInt(segment * BYTES + offset);

function segments(timeline: number, first: number, last: number): ArchivedSegment[] {
  return Array.from({ length: last - first + 1 }, (_, index) => ({
    timeline,
    number: first + index,
  }));
}

function backup(id: string, changes: Partial<WalBackup> = {}): WalBackup {
  return {
    id,
    timeline: 1,
    startLsn: at(2, 40),
    stopLsn: at(2, 500),
    includesWal: false,
    ...changes,
  };
}

const FORK: TimelineHistory = {
  timeline: 2,
  ancestors: [{ timeline: 1, switchLsn: at(5, 300), reason: "" }],
};

function archive(changes: Partial<WalArchive>): WalArchive {
  return { segmentBytes: BYTES, segments: [], histories: [], backups: [], ...changes };
}

Deno.test("coverTimelines() opens a window from a backup's stop to the end of the archive", () => {
  assert.deepEqual(
    coverTimelines(archive({ segments: segments(1, 1, 4), backups: [backup("a")] })),
    [{
      timeline: 1,
      windows: [{ timeline: 1, fromLsn: at(2, 500), toLsn: at(5), backupIds: ["a"] }],
      gaps: [],
      segments: { first: 1, last: 4 },
    }],
  );
});

Deno.test("coverTimelines() ends a window at a gap and opens one behind the next backup", () => {
  const [coverage] = coverTimelines(archive({
    segments: [...segments(1, 1, 3), ...segments(1, 6, 9)],
    backups: [
      backup("late", { startLsn: at(7, 40), stopLsn: at(8, 100) }),
      backup("early"),
    ],
  }));
  assert.deepEqual(coverage!.windows, [
    { timeline: 1, fromLsn: at(2, 500), toLsn: at(4), backupIds: ["early"] },
    { timeline: 1, fromLsn: at(8, 100), toLsn: at(10), backupIds: ["late"] },
  ]);
  assert.deepEqual(coverage!.gaps, [{ timeline: 1, first: 4, last: 5 }]);
});

Deno.test("coverTimelines() opens no window for a backup whose own WAL is not all there", () => {
  const [coverage] = coverTimelines(archive({
    segments: [...segments(1, 2, 2), ...segments(1, 4, 6)],
    backups: [backup("a", { stopLsn: at(3, 10) })],
  }));
  assert.deepEqual(coverage!.windows, []);
  assert.deepEqual(coverage!.gaps, [{ timeline: 1, first: 3, last: 3 }]);
});

Deno.test("coverTimelines() gives a backup that holds its WAL its own moment without an archive", () => {
  const [coverage] = coverTimelines(archive({ backups: [backup("a", { includesWal: true })] }));
  assert.deepEqual(coverage!.windows, [
    { timeline: 1, fromLsn: at(2, 500), toLsn: at(2, 500), backupIds: ["a"] },
  ]);
  assert.deepEqual(coverage!.gaps, []);
});

Deno.test("coverTimelines() follows a switch into the child's copy of the segment", () => {
  const coverage = coverTimelines(archive({
    segments: [...segments(1, 2, 4), ...segments(2, 5, 7)],
    histories: [FORK],
    backups: [backup("a")],
  }));
  assert.deepEqual(coverage.map(({ windows }) => windows).flat(), [
    { timeline: 1, fromLsn: at(2, 500), toLsn: at(5), backupIds: ["a"] },
    { timeline: 2, fromLsn: at(5, 300), toLsn: at(8), backupIds: ["a"] },
  ]);
  assert.deepEqual(coverage.flatMap(({ gaps }) => gaps), []);
});

Deno.test("coverTimelines() sees a parent's last segments that are missing before a switch", () => {
  const coverage = coverTimelines(archive({
    segments: [...segments(1, 2, 3), ...segments(2, 5, 7)],
    histories: [FORK],
    backups: [backup("a")],
  }));
  assert.deepEqual(coverage.flatMap(({ gaps }) => gaps), [{ timeline: 1, first: 4, last: 4 }]);
  assert.deepEqual(coverage[1]!.windows, []);
});

Deno.test("coverTimelines() does not start the child from what its parent did after the switch", () => {
  const coverage = coverTimelines(archive({
    segments: [...segments(1, 2, 9), ...segments(2, 5, 7)],
    histories: [FORK],
    backups: [backup("after", { startLsn: at(6, 40), stopLsn: at(6, 99) })],
  }));
  assert.deepEqual(coverage[1]!.windows, []);
  assert.equal(coverage[0]!.windows.length, 1);
});

Deno.test("segmentsBetween() asks for the child's name of the segment of the switch", () => {
  const options = { fromLsn: at(3, 9), toLsn: at(7), segmentBytes: BYTES };
  assert.deepEqual(segmentsBetween(FORK, options), [
    ...segments(1, 3, 4),
    ...segments(2, 5, 6),
  ]);
});

/** The definition, segment by segment: what recovery would do. */
function canReplay(
  { backups, histories, segments, segmentBytes }: WalArchive,
  { timeline, number }: ArchivedSegment,
): boolean {
  const history = [...histories].find((history) => history.timeline === timeline) ??
    rootHistory(timeline);
  const there = new Set([...segments].map((segment) => `${segment.timeline}/${segment.number}`));
  const begin = history.ancestors.at(-1)?.switchLsn ?? 0n;
  const middle = at(number, BYTES / 2);
  if (middle < begin) return false;
  return [...backups].some((backup) => {
    const { startLsn, stopLsn } = backup;
    if (stopLsn > middle || backup.includesWal) return false;
    if (!isOnHistory(history, { timeline: backup.timeline, lsn: stopLsn })) return false;
    return segmentsBetween(history, { fromLsn: startLsn, toLsn: middle, segmentBytes })
      .every((segment) => there.has(`${segment.timeline}/${segment.number}`));
  });
}

const NUMBERS = 16;

/** Three timelines: 1, its child 2, and 3 that left either of them. */
const anyArchive: fc.Arbitrary<WalArchive> = fc.record({
  fork2: fc.integer({ min: 1, max: NUMBERS * 4 }),
  fork3: fc.integer({ min: 1, max: NUMBERS * 4 }),
  holes: fc.array(
    fc.record({
      timeline: fc.integer({ min: 1, max: 3 }),
      number: fc.integer({ min: 0, max: NUMBERS - 1 }),
    }),
    { maxLength: 4 },
  ),
  backups: fc.array(
    fc.record({
      timeline: fc.integer({ min: 1, max: 3 }),
      start: fc.integer({ min: 0, max: NUMBERS * 4 - 1 }),
      length: fc.integer({ min: 1, max: 12 }),
    }),
    { maxLength: 4 },
  ),
}).map(({ fork2, fork3, holes, backups }) => {
  const quarter = (value: number) => BigInt(value) * BigInt(BYTES / 4);
  const from2 = { timeline: 1, switchLsn: quarter(fork2), reason: "" };
  const from3 = { timeline: fork3 >= fork2 ? 2 : 1, switchLsn: quarter(fork3), reason: "" };
  const gone = new Set(holes.map(({ timeline, number }) => `${timeline}/${number}`));
  const firsts = [0, Math.floor(fork2 / 4), Math.floor(fork3 / 4)];
  return archive({
    histories: [
      { timeline: 2, ancestors: [from2] },
      { timeline: 3, ancestors: fork3 >= fork2 ? [from2, from3] : [from3] },
    ],
    segments: firsts.flatMap((first, index) => segments(index + 1, first, NUMBERS - 1))
      .filter(({ timeline, number }) => !gone.has(`${timeline}/${number}`)),
    backups: backups.map(({ timeline, start, length }, index) => ({
      id: String(index),
      timeline,
      startLsn: quarter(start) + 40n,
      stopLsn: quarter(start + length) + 7n,
      includesWal: false,
    })),
  });
});

Deno.test("coverTimelines() has exactly the moments that can be replayed (fast-check)", () => {
  fc.assert(
    fc.property(anyArchive, (archive) => {
      for (const { timeline, windows } of coverTimelines(archive)) {
        for (let number = 0; number < NUMBERS; number++) {
          const middle = at(number, BYTES / 2);
          const inside = windows.some(({ fromLsn, toLsn }) => fromLsn <= middle && middle < toLsn);
          assert.equal(inside, canReplay(archive, { timeline, number }), `${timeline}/${number}`);
        }
      }
    }),
    { numRuns: 400 },
  );
});

Deno.test("coverTimelines() closes every window when its gaps are filled (fast-check)", () => {
  fc.assert(
    fc.property(anyArchive, (archive) => {
      const gaps = coverTimelines(archive).flatMap(({ gaps }) => gaps);
      const filled = gaps.flatMap(({ timeline, first, last }) => segments(timeline, first, last));
      const present = [...archive.segments].map(({ timeline, number }) => `${timeline}/${number}`);
      for (const { timeline, number } of filled) {
        assert.ok(!present.includes(`${timeline}/${number}`), "a gap is not there");
      }
      const whole = { ...archive, segments: [...archive.segments, ...filled] };
      assert.deepEqual(coverTimelines(whole).flatMap(({ gaps }) => gaps), []);
    }),
    { numRuns: 200 },
  );
});
