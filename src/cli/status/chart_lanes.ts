import type { BackupManifest, UnfinishedBackup } from "../../catalog/catalog.ts";
import type { StorageSample } from "../../catalog/storage_sample.ts";
import { startOfBackup } from "../../domain/backup_id.ts";
import { numberOfName, parseWalName } from "../../domain/wal.ts";
import type { NamedGap } from "../../engine/engine.ts";
import type { ArchiveView } from "../../engine/recovery/archive_view.ts";
import type { StatusFound } from "./collect_status.ts";

/** From one moment to another, both in milliseconds since 1970. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** The log of one timeline. */
export interface TimelineLane {
  readonly timeline: number;
  /** What can be restored. */
  readonly windows: readonly Span[];
  /** About when the missing segments were written. */
  readonly gaps: readonly Span[];
}

/** What a mark on a lane stands for. */
export type MarkKind = "full" | "increment" | "logical" | "unfinished";

/** A backup on a lane. */
export interface Mark {
  readonly kind: MarkKind;
  readonly time: number;
  readonly isDamaged: boolean;
}

/** Everything that a picture shows. */
export interface Lanes {
  readonly timelines: readonly TimelineLane[];
  readonly marks: readonly Mark[];
  /** Bytes stored, by time. */
  readonly storage: readonly { readonly time: number; readonly bytes: number }[];
  readonly now: number;
}

/** What `found` looks like over time. `backups`: those that are to be shown. */
export function lanesOf(found: StatusFound, backups: readonly BackupManifest[]): Lanes {
  const { archive, unfinished, figures, now } = found;
  return {
    timelines: archive ? timelineLanes(found) : [],
    marks: [
      ...backups.map((backup) => ({
        kind: kindOf(backup),
        time: Date.parse(backup.stoppedAt),
        isDamaged: isDamaged(backup, found),
      })),
      ...unfinished.map(unfinishedMark),
    ],
    storage: typeof figures === "object" ? figures.storage.map(pointOf) : [],
    now: now.getTime(),
  };
}

function kindOf({ method, kind }: BackupManifest): MarkKind {
  if (method === "logical") return "logical";
  return kind === "incremental" ? "increment" : "full";
}

function isDamaged(backup: BackupManifest, { factsOf }: StatusFound): boolean {
  const { checks, broken } = factsOf(backup);
  return broken || backup.damagedPages !== undefined || Boolean(checks?.damagedAt);
}

function unfinishedMark({ id }: UnfinishedBackup): Mark {
  return { kind: "unfinished", time: startOfBackup(id).getTime(), isDamaged: false };
}

function pointOf({ at, uses }: StorageSample): { readonly time: number; readonly bytes: number } {
  return {
    time: Date.parse(at),
    bytes: uses.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
  };
}

function timelineLanes({ archive, now }: StatusFound): readonly TimelineLane[] {
  const { report, view } = archive!;
  const numbers = new Set([...report.windows, ...report.gaps].map(({ timeline }) => timeline));
  return [...numbers].sort((a, b) => a - b).map((timeline) => ({
    timeline,
    windows: report.windows.filter((window) => window.timeline === timeline)
      .flatMap(({ from, to }) => from ? [{ from: +from, to: Math.max(+from, +(to ?? from)) }] : []),
    gaps: report.gaps.filter((gap) => gap.timeline === timeline)
      .flatMap((gap) => gapSpan(gap, { view, now: now.getTime() })),
  }));
}

/** From when the segment before it was stored until the one behind it was. */
function gapSpan(
  { timeline, fromWal, toWal }: NamedGap,
  { view, now }: { readonly view: ArchiveView; readonly now: number },
): readonly Span[] {
  const runs = view.runs.get(timeline) ?? [];
  const before = runs.find(({ last }) => last + 1 === number(fromWal, view))?.lastStoredAt;
  const behind = runs.find(({ first }) => first - 1 === number(toWal, view))?.firstStoredAt;
  if (!before && !behind) return [];
  const to = behind?.getTime() ?? now;
  return [{ from: Math.min(before?.getTime() ?? to, to), to }];
}

function number(wal: string, { segmentBytes }: ArchiveView): number | undefined {
  const name = parseWalName(wal);
  return name?.kind === "segment" ? numberOfName(name, segmentBytes) : undefined;
}
