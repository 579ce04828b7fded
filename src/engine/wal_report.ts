import { segmentName } from "../domain/wal.ts";
import type { ArchiveView } from "./recovery/archive_view.ts";
import {
  type NamedGap,
  type Restorable,
  restorableWindows,
  type TimedWindow,
} from "./recovery/restorable_windows.ts";

/** One timeline of an archive. */
export interface TimelineReport {
  readonly timeline: number;
  /** Where it left its parent; undefined for the first one, or when the history is missing. */
  readonly parent: { readonly timeline: number; readonly switchLsn: bigint } | undefined;
  /** Undefined when only its history is there. */
  readonly firstWal: string | undefined;
  readonly lastWal: string | undefined;
  readonly lastStoredAt: Date | undefined;
  readonly segments: number;
  readonly storedBytes: number;
}

/** A window as `status` shows it. */
export interface ReportedWindow extends TimedWindow {
  /** Seconds from its end to now, for windows that may still grow. */
  readonly lagSeconds: number | undefined;
}

/** What the repository holds of a system's write-ahead log. */
export interface WalReport {
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  readonly timelines: readonly TimelineReport[];
  readonly windows: readonly ReportedWindow[];
  readonly gaps: readonly NamedGap[];
  /** Of the timeline that was archived to last. */
  readonly lastArchived: string | undefined;
  readonly lastArchivedAt: Date | undefined;
  readonly segments: number;
  readonly storedBytes: number;
  /** Objects that are no WAL file of this place. */
  readonly strangers: readonly string[];
}

/** Sums up an archive. */
export function reportWal(view: ArchiveView, { now }: { readonly now: Date }): WalReport {
  const timelines = timelineReports(view);
  const growing = growingTimeline(timelines);
  const restorable = restorableWindows(view);
  return {
    systemIdentifier: view.place.systemIdentifier,
    segmentBytes: view.segmentBytes,
    timelines,
    windows: reportedWindows(restorable, { now, growing, timelines }),
    gaps: restorable.gaps,
    lastArchived: growing?.lastWal,
    lastArchivedAt: growing?.lastStoredAt,
    segments: timelines.reduce((sum, { segments }) => sum + segments, 0),
    storedBytes: view.storedBytes,
    strangers: view.strangers,
  };
}

function timelineReports(
  { runs, histories, segmentBytes }: ArchiveView,
): readonly TimelineReport[] {
  const numbers = [...new Set([...runs.keys(), ...histories.keys()])].sort((a, b) => a - b);
  return numbers.map((timeline) => {
    const row = runs.get(timeline) ?? [];
    const last = row.at(-1);
    const name = (number: number) => segmentName(timeline, number, segmentBytes);
    return {
      timeline,
      parent: histories.get(timeline)?.history.ancestors.at(-1),
      firstWal: row[0] && name(row[0].first),
      lastWal: last && name(last.last),
      lastStoredAt: last?.lastStoredAt,
      segments: row.reduce((sum, run) => sum + run.last - run.first + 1, 0),
      storedBytes: row.reduce((sum, run) => sum + run.bytes, 0),
    };
  });
}

/**
 * The one that was archived to last: after a promotion that was given up, not the one with the
 * highest number.
 */
function growingTimeline(timelines: readonly TimelineReport[]): TimelineReport | undefined {
  const archived = timelines.filter(({ segments }) => segments > 0);
  const storedAt = ({ lastStoredAt }: TimelineReport) => lastStoredAt?.getTime() ?? 0;
  const last = Math.max(...archived.map(storedAt));
  return archived.findLast((timeline) => storedAt(timeline) === last);
}

/** Only one timeline still grows; the others ended where they were left. */
function reportedWindows(
  { windows }: Restorable,
  { now, growing, timelines }: {
    readonly now: Date;
    readonly growing: TimelineReport | undefined;
    readonly timelines: readonly TimelineReport[];
  },
): readonly ReportedWindow[] {
  const archived = timelines.filter(({ segments }) => segments > 0);
  const ended = new Set(archived.map(({ timeline }) => timeline));
  if (growing) ended.delete(growing.timeline);
  return windows.map((window) => {
    const left = ended.has(window.timeline) || window.timeline < (growing?.timeline ?? 0);
    const open = window.open && !left;
    const lag = open && window.to ? (now.getTime() - window.to.getTime()) / 1000 : undefined;
    return { ...window, open, lagSeconds: lag === undefined ? undefined : Math.max(0, lag) };
  });
}
