/**
 * Which backup a recovery starts from, and whether the archive reaches its target.
 *
 * Positions are exact. Of times the repository knows when backups ended and when segments were
 * stored, which no commit in them can be later than: what lies clearly outside is refused here, the
 * rest is PostgreSQL's to decide, which stops with FATAL when it does not arrive. Where a
 * transaction or a restore point lies, nobody knows before the log is read.
 *
 * @module
 */
import type { BackupManifest } from "../../catalog/catalog.ts";
import { NothingMatchesError } from "../../domain/errors.ts";
import { formatLsn } from "../../domain/lsn.ts";
import type { TimelineHistory } from "../../domain/timeline_history.ts";
import { rootHistory } from "../../domain/timeline_history.ts";
import { isOnHistory, timelineOfSegment } from "../../domain/timeline_path.ts";
import {
  lastSegmentNumber,
  segmentName,
  segmentNumber,
  timelineHistoryName,
} from "../../domain/wal.ts";
import type { ArchiveView } from "./archive_view.ts";
import { walBackup } from "./archive_view.ts";
import type { LogPath } from "./log_path.ts";
import { storedBytesBetween } from "./log_path.ts";
import { otherBranches, timelinesWith } from "./other_branches.ts";
import { type Candidate, goesAstray, reachTarget, type Unreached } from "./reach_target.ts";
import type { RecoveryRequest } from "./recovery_target.ts";
import { describeTarget } from "./recovery_target.ts";
import { isoTime, microsOf } from "./recovery_time.ts";
import type { NamedGap } from "./restorable_windows.ts";
import { describeWindows, namedGap, restorableWindows } from "./restorable_windows.ts";

/** A recovery that the archive can feed, as far as can be told before it runs. */
export interface RecoveryPlan {
  /** Where it starts from. */
  readonly backup: BackupManifest;
  /** What was asked for. */
  readonly request: RecoveryRequest;
  /** The one that recovery follows to its end. */
  readonly timeline: number;
  /** The log from the backup's start to the target, or to the end of the archive. */
  readonly wal: {
    readonly from: string;
    readonly to: string;
    readonly segments: number;
    /** Of those in the archive, as stored; an estimate. */
    readonly storedBytes: number;
  };
  /** Missing segments behind the last one that can be reached. */
  readonly gaps: readonly NamedGap[];
  /** What people should know before they start it. */
  readonly notes: readonly string[];
}

/** What {@link chooseBackup} is asked. */
export interface ChooseOptions {
  readonly request: RecoveryRequest;
  /** Start from this physical backup. */
  readonly backup?: BackupManifest;
}

/**
 * The newest physical backup that ended before the target, on the branch that was asked for.
 *
 * @throws {NothingMatchesError} naming the windows: no such backup, a target outside of what is
 * archived, a gap on the way.
 */
export function chooseBackup(view: ArchiveView, options: ChooseOptions): RecoveryPlan {
  const { request, backup } = options;
  const offered = backup ? [backup] : newestFirst(view, request);
  const candidates = candidatesOf(view, { ...options, offered });
  const tried = new Set(candidates.map(({ history }) => history.timeline));
  const early = candidates.filter((candidate) => endedBefore(candidate.backup, request));
  if (early.length === 0) {
    const message = tooEarly(request, candidates.at(-1)!.backup);
    throw refusal(view, { ...options, tried, message });
  }
  let reason: Unreached | undefined;
  for (const candidate of early) {
    const path = reachTarget(candidate);
    if (!("why" in path)) return plan(candidate, path);
    reason ??= path;
  }
  const alone = request.target.kind === "immediate" ? OPENS_ALONE : "";
  const { why, ...more } = reason!;
  throw refusal(view, { ...options, ...more, tried, message: `${why}${alone}` });
}

const OPENS_ALONE = "; a restore without any target opens it at its end all the same";
const ARCHIVES_MORE =
  "SELECT pg_switch_wal() on the server, if it still runs, archives what it has written since";

/** The newest first; on its own timeline each, or on the one that was asked for. */
function candidatesOf(
  view: ArchiveView,
  options: ChooseOptions & { readonly offered: readonly BackupManifest[] },
): readonly Candidate[] {
  const { request, offered } = options;
  if (request.timeline === "current") {
    return offered.map((backup) => {
      return { view, request, backup, history: historyOf(view, backup.timeline!) };
    });
  }
  const history = wantedHistory(view, request.timeline);
  const onBranch = offered.filter((backup) => isOnHistory(history, walEnd(backup)));
  if (onBranch.length === 0) throw offBranch(view, { ...options, history });
  return onBranch.map((backup) => ({ view, request, backup, history }));
}

function plan(candidate: Candidate, path: LogPath): RecoveryPlan {
  const { view, request, backup, history } = candidate;
  const { startLsn, stopLsn } = walBackup(backup);
  const stop = lastSegmentNumber(stopLsn, view.segmentBytes);
  const first = segmentNumber(startLsn, view.segmentBytes);
  const last = Math.max(stop, lastNeeded(candidate, path));
  const name = (number: number) => nameOn(candidate, number);
  return {
    ...{ backup, request, timeline: history.timeline },
    wal: {
      ...{ from: name(first), to: name(last), segments: last - first + 1 },
      storedBytes: storedBytesBetween(view, history, { first, last }),
    },
    gaps: path.gap ? [namedGap(path.gap, view.segmentBytes)] : [],
    notes: notes(candidate, path),
  };
}

/** The last segment that recovery has to read: the target's, or as far as the archive goes. */
function lastNeeded({ view, request: { target } }: Candidate, path: LogPath): number {
  if (target.kind === "immediate") return 0;
  return target.kind === "lsn" ? segmentNumber(target.lsn, view.segmentBytes) : path.last;
}

function nameOn({ view: { segmentBytes }, history }: Candidate, number: number): string {
  return segmentName(timelineOfSegment(history, number, segmentBytes), number, segmentBytes);
}

function notes(candidate: Candidate, path: LogPath): readonly string[] {
  const { request: { target } } = candidate;
  const found = [...otherBranches(candidate, path)];
  if (target.kind === "xid" || target.kind === "name") {
    found.push(
      `only the log tells where ${describeTarget(target)} is: if it is older than this backup, ` +
        "PostgreSQL will not find it; choose an older one with --backup-id",
    );
  }
  const astray = target.kind === "time" ? goesAstray(candidate, path) : undefined;
  if (astray) {
    found.push(
      `WAL segment ${astray.segment} is not archived: PostgreSQL would read what timeline ` +
        `${astray.timeline} wrote in its place, also past ${formatLsn(astray.switchLsn)}, where ` +
        `timeline ${candidate.history.timeline} left it`,
    );
  } else if (path.gap && target.kind !== "immediate" && target.kind !== "lsn") {
    const { fromWal } = namedGap(path.gap, candidate.view.segmentBytes);
    found.push(`the log breaks off at ${fromWal}: recovery stops with FATAL if it gets there`);
  }
  if (target.kind === "time" && path.endStoredAt && target.micros > microsOf(path.endStoredAt)) {
    found.push(
      `the newest segment was stored at ${path.endStoredAt.toISOString()}: unless it holds a ` +
        `transaction later than ${isoTime(target.micros)}, PostgreSQL stops with FATAL; ` +
        ARCHIVES_MORE,
    );
  }
  return found;
}

function endedBefore(backup: BackupManifest, { target }: RecoveryRequest): boolean {
  if (target.kind === "time") return microsOf(new Date(backup.stoppedAt)) <= target.micros;
  return target.kind !== "lsn" || walBackup(backup).stopLsn <= target.lsn;
}

function walEnd(backup: BackupManifest): { readonly timeline: number; readonly lsn: bigint } {
  const { timeline, stopLsn } = walBackup(backup);
  return { timeline, lsn: stopLsn };
}

/** On one branch the position tells; across branches only the clock: positions come again. */
function newestFirst(
  { backups }: ArchiveView,
  { timeline }: RecoveryRequest,
): readonly BackupManifest[] {
  if (timeline === "current") return backups.toReversed();
  return backups.toSorted((a, b) => walBackup(a).stopLsn < walBackup(b).stopLsn ? 1 : -1);
}

function historyOf(view: ArchiveView, timeline: number): TimelineHistory {
  return view.histories.get(timeline)?.history ?? rootHistory(timeline);
}

/** The numbers of all timelines that anything in the archive belongs to, ascending. */
function timelinesOf({ runs, histories, backups }: ArchiveView): readonly number[] {
  const numbers = new Set([
    ...[...runs.keys(), ...histories.keys()],
    ...backups.map((backup) => backup.timeline!),
  ]);
  return [...numbers].sort((a, b) => a - b);
}

function wantedHistory(view: ArchiveView, wanted: "latest" | number): TimelineHistory {
  const known = timelinesOf(view);
  if (wanted === "latest") return historyOf(view, known.at(-1)!);
  if (known.includes(wanted)) return historyOf(view, wanted);
  throw new NothingMatchesError(
    `nothing of timeline ${wanted} is in the archive`,
    `it holds timeline ${known.join(", ")}`,
  );
}

function offBranch(
  view: ArchiveView,
  options: ChooseOptions & {
    readonly history: TimelineHistory;
    readonly offered: readonly BackupManifest[];
  },
): NothingMatchesError {
  const { request, history, offered } = options;
  const { timeline } = history;
  const what = offered.length === 1 ? `backup ${offered[0]!.id} does not lie` : "no backup lies";
  const known = timeline === 1 || view.histories.has(timeline)
    ? ""
    : `, and ${timelineHistoryName(timeline)}, which tells what it grew out of, is not archived`;
  const message = `${what} on the way to ${
    describeTarget(request.target)
  } on timeline ${timeline}${known}`;
  return refusal(view, { ...options, tried: new Set([timeline]), message });
}

function tooEarly({ target }: RecoveryRequest, oldest: BackupManifest): string {
  const end = target.kind === "lsn" ? oldest.stopLsn : oldest.stoppedAt;
  return `${describeTarget(target)} is before the end of backup ${oldest.id}, ${end}`;
}

function refusal(
  view: ArchiveView,
  { request, backup, tried, message, mayGoOn = false, instead }: ChooseOptions & {
    /** The timelines that do not reach the target. */
    readonly tried: ReadonlySet<number>;
    readonly message: string;
    /** The target may lie in what is not archived yet. */
    readonly mayGoOn?: boolean;
    readonly instead?: string;
  },
): NothingMatchesError {
  const { windows } = restorableWindows(view);
  const late = backup !== undefined && !endedBefore(backup, request);
  const holding = late ? [] : timelinesWith(view, request.target, { tried, backup });
  const found = holding.length === 0
    ? ""
    : `${holding.map((timeline) => `--timeline ${timeline}`).join(" or ")} reaches it; `;
  const more = mayGoOn && holding.length === 0 ? `; ${ARCHIVES_MORE}` : "";
  const other = instead === undefined ? "" : `${instead}; `;
  const hint = `${found}${other}can be restored: ${describeWindows(windows)}${more}`;
  return new NothingMatchesError(message, hint);
}
