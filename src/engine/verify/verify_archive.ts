import type { BackupManifest } from "../../catalog/catalog.ts";
import { parseLsn } from "../../domain/lsn.ts";
import type { SegmentRange } from "../../domain/segment_ranges.ts";
import { SegmentRanges } from "../../domain/segment_ranges.ts";
import {
  lastSegmentNumber,
  numberOfName,
  parseWalName,
  segmentNumber,
  type WalName,
} from "../../domain/wal.ts";
import { parseWalKey, type WalPlace } from "../../domain/wal_key.ts";
import type { ObjectStore, ReadOptions } from "../../storage/storage.ts";
import { type ArchiveView, viewArchive } from "../recovery/archive_view.ts";
import { type NamedGap, restorableWindows } from "../recovery/restorable_windows.ts";
import { verifyWal, type VerifyWalOptions, type VerifyWalReport } from "../verify_wal.ts";

/** Which archive to read back, and how much of it. */
export interface VerifyArchiveOptions extends ReadOptions {
  readonly place: WalPlace;
  /** All committed ones of the cluster. */
  readonly backups: readonly BackupManifest[];
  /** Segments that were read back before and were right: they are left out. */
  readonly verified?: { readonly segmentBytes: number; readonly ranges: Iterable<SegmentRange> };
  /** Which part of the segments to read, above 0 and at most 1. @default {1} */
  readonly sample?: number;
  /** From 0 up to 1. @default {Math.random} */
  readonly random?: () => number;
  /** Objects at a time. @default {4} */
  readonly jobs?: number;
  /** Opens what is encrypted; without it only the stored form of that is checked. */
  readonly unseal?: NonNullable<VerifyWalOptions["unseal"]>;
  /** Hears of each object, with its plain length. */
  readonly onChecked?: (name: string, rawBytes: number) => void;
}

/** A segment or history file that is damaged or missing. */
export interface WalFault {
  /** Its key; of missing segments the first name, or the first and the last. */
  readonly key: string;
  readonly reason: string;
  /** Backups whose recovery cannot pass it. */
  readonly stopped: readonly string[];
}

/** What reading an archive back found. */
export interface VerifiedArchive extends Omit<VerifyWalReport, "damaged"> {
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  readonly faults: readonly WalFault[];
  /** Every segment that is known to be right, those from before among them. */
  readonly verified: readonly SegmentRange[];
}

/**
 * Reads the archived WAL back that a backup can be rolled forward through, with the history files.
 * What lies outside of every window restores nothing and is not read.
 *
 * @throws {StorageError} when the store cannot be asked.
 */
export async function verifyArchive(
  store: ObjectStore,
  { place, backups, verified: before, sample = 1, random = Math.random, ...rest }:
    VerifyArchiveOptions,
): Promise<VerifiedArchive> {
  const reading = rest.signal ? { signal: rest.signal } : {};
  const view = await viewArchive(store, { place, backups, ...reading });
  const { segmentBytes } = view;
  const needed = neededSegments(view);
  const known = before?.segmentBytes === segmentBytes ? before.ranges : [];
  const verified = new SegmentRanges(known);
  const wanted = (name: WalName) => {
    if (name.kind !== "segment") return name.kind === "history";
    const number = numberOfName(name, segmentBytes);
    if (number === undefined || !needed.has(name.timeline, number)) return false;
    return !verified.has(name.timeline, number) && (sample >= 1 || random() < sample);
  };
  const onWhole = (name: WalName) => {
    if (name.kind !== "segment") return;
    verified.add(name.timeline, numberOfName(name, segmentBytes)!);
  };
  const { damaged, ...report } = await verifyWal(store, { place, wanted, onWhole, ...rest });
  const { windows, gaps } = restorableWindows(view);
  const stopped = (name: WalName | undefined) => stoppedBy(view, windows, name);
  return {
    ...report,
    ...{ systemIdentifier: place.systemIdentifier, segmentBytes, verified: verified.list() },
    faults: [
      ...damaged.map((fault) => ({ ...fault, stopped: stopped(parseWalKey(place, fault.key)) })),
      ...gaps.map((gap) => missing(gap, stoppedByGap(view, gap))),
    ],
  };
}

/** From where a backup begins to where the log of its timeline ends, for each window. */
function neededSegments(view: ArchiveView): SegmentRanges {
  const { segmentBytes } = view;
  const ranges = restorableWindows(view).windows.map(({ timeline, fromLsn, toLsn, backupIds }) => {
    const starts = view.backups
      .filter((backup) => backup.timeline === timeline && backupIds.includes(backup.id))
      .map(({ startLsn }) => parseLsn(startLsn!));
    const from = starts.reduce((least, lsn) => lsn < least ? lsn : least, fromLsn);
    const first = segmentNumber(from, segmentBytes);
    return { timeline, first, last: Math.max(first, lastSegmentNumber(toLsn, segmentBytes)) };
  });
  return new SegmentRanges(ranges);
}

type Windows = ReturnType<typeof restorableWindows>["windows"];

/** Those that recovery starts from at or before it, in whose window it lies. */
function stoppedBy(
  { backups, segmentBytes }: ArchiveView,
  windows: Windows,
  name: WalName | undefined,
): readonly string[] {
  if (!name) return [];
  if (name.kind === "history") {
    const behind = windows.filter(({ timeline }) => timeline === name.timeline);
    return unique(behind.flatMap(({ backupIds }) => backupIds));
  }
  const number = numberOfName(name, segmentBytes) ?? 0;
  const through = windows.filter(({ timeline, toLsn }) =>
    timeline === name.timeline && number <= lastSegmentNumber(toLsn, segmentBytes)
  );
  const ids = unique(through.flatMap(({ backupIds }) => backupIds));
  return ids.filter((id) => {
    const start = backups.find((backup) => backup.id === id)?.startLsn;
    return start !== undefined && segmentNumber(parseLsn(start!), segmentBytes) <= number;
  });
}

/** Those of the timeline that begin before the gap: it ends their windows. */
function stoppedByGap(
  { backups, segmentBytes }: ArchiveView,
  { timeline, toWal }: NamedGap,
): readonly string[] {
  const last = numberOf(toWal, segmentBytes);
  return backups
    .filter((backup) => backup.timeline === timeline)
    .filter(({ startLsn }) => segmentNumber(parseLsn(startLsn!), segmentBytes) <= last)
    .map(({ id }) => id);
}

function missing({ fromWal, toWal }: NamedGap, stopped: readonly string[]): WalFault {
  const key = fromWal === toWal ? fromWal : `${fromWal} to ${toWal}`;
  return { key, reason: fromWal === toWal ? "is missing" : "are missing", stopped };
}

function numberOf(name: string, segmentBytes: number): number {
  const parsed = parseWalName(name);
  return parsed?.kind === "segment" ? numberOfName(parsed, segmentBytes) ?? 0 : 0;
}

function unique(values: readonly string[]): readonly string[] {
  return [...new Set(values)];
}
