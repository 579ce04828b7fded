import type { BackupManifest } from "../../catalog/catalog.ts";
import { formatLsn } from "../../domain/lsn.ts";
import type { TimelineHistory } from "../../domain/timeline_history.ts";
import { lastSegmentNumber, segmentNumber } from "../../domain/wal.ts";
import type { ArchiveView } from "./archive_view.ts";
import { walBackup } from "./archive_view.ts";
import type { LogPath } from "./log_path.ts";
import { type Astray, astrayBehind, walkLog } from "./log_path.ts";
import type { RecoveryRequest } from "./recovery_target.ts";
import { describeTarget } from "./recovery_target.ts";
import { microsOf } from "./recovery_time.ts";
import { namedGap } from "./restorable_windows.ts";

/** A backup with the branch that it would be rolled forward on. */
export interface Candidate {
  readonly view: ArchiveView;
  readonly request: RecoveryRequest;
  readonly backup: BackupManifest;
  readonly history: TimelineHistory;
}

/** How far the clocks of the database and of the store may be apart. */
const CLOCK_SLACK_MICROS = 60_000_000n;

/** Why a target cannot be on the log. */
export interface Unreached {
  /** In words for people. */
  readonly why: string;
  /** The log may go on behind what is archived: nothing on the way is missing. */
  readonly mayGoOn: boolean;
  /** What else can be asked for. */
  readonly instead?: string;
}

/** The log that recovery would read, or why the target cannot be on it. */
export function reachTarget(candidate: Candidate): LogPath | Unreached {
  const path = ownPath(candidate);
  if ("why" in path) return path;
  const { request: { target } } = candidate;
  if (target.kind === "latest" && path.gap) return throughGap(candidate, path);
  if (target.kind === "lsn") return reachLsn(candidate, { path, lsn: target.lsn });
  if (target.kind === "time") return reachTime(candidate, { path, micros: target.micros });
  const astray = target.kind === "immediate" ? undefined : goesAstray(candidate, path);
  return astray ? throughOther(candidate, astray) : path;
}

/** The branch that recovery would get onto behind the end of its own. */
export function goesAstray(
  { view, history, backup }: Candidate,
  { last }: LogPath,
): Astray | undefined {
  return astrayBehind(view, history, { last, timeline: walBackup(backup).timeline });
}

/**
 * From the segment that the backup started in. The backup holds its own WAL as well, but recovery
 * asks the archive first, and an archive that goes on behind a segment that it lacks refuses it.
 */
function ownPath(candidate: Candidate): LogPath | Unreached {
  const { view, history, backup } = candidate;
  const { startLsn, stopLsn } = walBackup(backup);
  const stop = lastSegmentNumber(stopLsn, view.segmentBytes);
  const path = walkLog(view, history, segmentNumber(startLsn, view.segmentBytes));
  if (path.last >= stop) return path;
  if (path.gap) return throughGap(candidate, path);
  return { first: stop + 1, last: stop, endStoredAt: undefined, gap: undefined };
}

function reachLsn(
  candidate: Candidate,
  { path, lsn }: { readonly path: LogPath; readonly lsn: bigint },
): LogPath | Unreached {
  const { view, backup } = candidate;
  if (lsn <= walBackup(backup).stopLsn) return path;
  const needed = Math.max(path.first, segmentNumber(lsn, view.segmentBytes));
  if (needed <= path.last) return path;
  if (path.gap) return throughGap(candidate, path);
  return outside(candidate, "is behind the end of the archive");
}

/** No commit can be later than the moment when its segment was stored. */
function reachTime(
  candidate: Candidate,
  { path, micros }: { readonly path: LogPath; readonly micros: bigint },
): LogPath | Unreached {
  if (path.last < path.first) {
    return outside(
      candidate,
      `needs WAL behind backup ${candidate.backup.id}, and none is archived`,
    );
  }
  const end = path.endStoredAt;
  const astray = goesAstray(candidate, path);
  const slack = astray ? 0n : CLOCK_SLACK_MICROS;
  if (!end || micros <= microsOf(end) + slack) return path;
  if (path.gap) return throughGap(candidate, path);
  if (astray) return throughOther(candidate, astray);
  return outside(
    candidate,
    `is behind the end of the archive, whose newest segment was stored at ${end.toISOString()}`,
  );
}

function outside({ request: { target } }: Candidate, what: string): Unreached {
  return { why: `${describeTarget(target)} ${what}`, mayGoOn: true };
}

function throughGap({ view, request, backup }: Candidate, { gap }: LogPath): Unreached {
  const { fromWal, toWal } = namedGap(gap!, view.segmentBytes);
  const missing = fromWal === toWal
    ? `WAL segment ${fromWal} is missing`
    : `WAL segments ${fromWal} to ${toWal} are missing`;
  const why = `${missing} between backup ${backup.id} and ${describeTarget(request.target)}`;
  return { why, mayGoOn: false };
}

function throughOther(
  { history }: Candidate,
  { segment, timeline, switchLsn }: Astray,
): Unreached {
  const lsn = formatLsn(switchLsn);
  return {
    why: `WAL segment ${segment} is not archived, and PostgreSQL would go on with timeline ` +
      `${timeline} in its place, past ${lsn}, where timeline ${history.timeline} left it`,
    mayGoOn: false,
    instead: `--timeline ${timeline} follows that one, --timeline ${timeline} --to-lsn ${lsn} ` +
      "--exclusive ends where they part; SELECT pg_switch_wal() on the server of timeline " +
      `${history.timeline}, if it still runs, archives what it has written`,
  };
}
