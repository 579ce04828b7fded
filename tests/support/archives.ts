/** Archives of WAL made up for tests, as they would be listed from a repository. */
import type { BackupManifest } from "../../src/catalog/catalog.ts";
import { MiB } from "../../src/domain/bytes.ts";
import { formatLsn, type Lsn } from "../../src/domain/lsn.ts";
import type { TimelineHistory } from "../../src/domain/timeline_history.ts";
import { segmentName } from "../../src/domain/wal.ts";
import type { ArchiveView, SegmentRun } from "../../src/engine/recovery/archive_view.ts";
import { samplePhysical } from "./manifests.ts";

/** Of the made-up archives. */
export const SEGMENT_BYTES = 16 * MiB;
/** Where the made-up archives are. */
export const PLACE = { cluster: "main", systemIdentifier: "7345678901234567890" } as const;
const EPOCH = Date.UTC(2026, 10, 23);

/** The position `offset` bytes into a segment. */
export function at(segment: number, offset = 0): Lsn {
  return BigInt(segment) * BigInt(SEGMENT_BYTES) + BigInt(offset);
}

/** A time of day of the made-up archives: so many minutes after their beginning. */
export function minute(minutes: number): Date {
  return new Date(EPOCH + minutes * 60_000);
}

/** `000000010000000000000002`. */
export function walName(timeline: number, number: number): string {
  return segmentName(timeline, number, SEGMENT_BYTES);
}

/** A physical backup from one position to another, that ended at `minutes`. */
export function backupOf(
  id: string,
  { timeline = 1, start, stop, minutes }: {
    readonly timeline?: number;
    readonly start: Lsn;
    readonly stop: Lsn;
    readonly minutes: number;
  },
): BackupManifest {
  return samplePhysical({
    id,
    timeline,
    startLsn: formatLsn(start),
    stopLsn: formatLsn(stop),
    walSegmentBytes: SEGMENT_BYTES,
    systemIdentifier: PLACE.systemIdentifier,
    startedAt: minute(minutes - 1).toISOString(),
    stoppedAt: minute(minutes).toISOString(),
  });
}

/** A history from pairs of a parent and the position where it was left, the oldest first. */
export function historyOf(
  timeline: number,
  ...ancestors: readonly (readonly [timeline: number, switchLsn: Lsn])[]
): TimelineHistory {
  return {
    timeline,
    ancestors: ancestors.map(([timeline, switchLsn]) => ({ timeline, switchLsn, reason: "test" })),
  };
}

/** An archive from runs of segments; each segment stored in the minute of its number. */
export function archiveOf(
  { runs = [], histories = [], backups = [] }: {
    readonly runs?: readonly (readonly [timeline: number, first: number, last: number])[];
    readonly histories?: readonly TimelineHistory[];
    readonly backups?: readonly BackupManifest[];
  },
): ArchiveView {
  const byTimeline = new Map<number, SegmentRun[]>();
  for (const [timeline, first, last] of runs) {
    const run = { first, last, bytes: (last - first + 1) * 1000, lastStoredAt: minute(last) };
    byTimeline.set(timeline, [...(byTimeline.get(timeline) ?? []), run]);
  }
  return {
    place: PLACE,
    segmentBytes: SEGMENT_BYTES,
    runs: byTimeline,
    histories: new Map(histories.map((history) => [
      history.timeline,
      { history, storedAt: minute(Number(history.ancestors.at(-1)!.switchLsn / at(1))) },
    ])),
    backups: backups.toSorted((a, b) => a.stoppedAt < b.stoppedAt ? -1 : 1),
    strangers: [],
    storedBytes: 0,
  };
}
