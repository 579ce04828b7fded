/**
 * Which of the archived log stays: what a kept backup needs to become consistent, and everything
 * that recovery may ask for from the backups that the window begins with.
 *
 * @module
 */
import type { RetentionPolicy } from "../../domain/retention_policy.ts";
import type { TimelineHistory } from "../../domain/timeline_history.ts";
import { isOnHistory } from "../../domain/timeline_path.ts";
import { lastSegmentNumber, segmentNumber } from "../../domain/wal.ts";
import { formatSpan } from "./format_span.ts";
import type { JudgedWal, PruneSystem, WalPiece } from "./prune_model.ts";
import { strangeBranches } from "./strange_branches.ts";
import { historyOf, isPhysical, type PhysicalBackup, windowBases } from "./window_bases.ts";

/** Segments of one timeline that stay; `last` may be Infinity. */
interface Need {
  readonly timeline: number;
  readonly first: number;
  readonly last: number;
  readonly reason: string;
}

/** What the log is judged by. */
export interface JudgeOptions {
  /** The ids of the backups that stay. */
  readonly kept: ReadonlySet<string>;
  readonly policy: RetentionPolicy;
  readonly now: number;
}

/** Judges pieces of a system's log. */
export function walJudge(
  system: PruneSystem,
  options: JudgeOptions,
): (piece: WalPiece) => Pick<JudgedWal, "keep" | "reason"> {
  const physical = system.backups.filter(isPhysical).filter(({ id }) => options.kept.has(id));
  const judge = physical.length === 0
    ? () => "no physical backup of this system is there"
    : judgeOf(system, { physical, ...options });
  return (piece) => {
    const reason = judge(piece);
    if (reason !== undefined) return { keep: true, reason };
    return { keep: false, reason: uselessness(options.policy) };
  };
}

function uselessness({ pitrWindow }: RetentionPolicy): string {
  if (pitrWindow === undefined) return "no kept backup is rolled forward through it";
  return `outside pitr-window=${formatSpan(pitrWindow)}, and no kept backup needs it`;
}

interface Kept extends JudgeOptions {
  readonly physical: readonly PhysicalBackup[];
}

/** Why a piece stays; undefined when it goes. */
function judgeOf(system: PruneSystem, options: Kept): (piece: WalPiece) => string | undefined {
  const bases = basesOf(system, options);
  const needs = [
    ...options.physical.flatMap((backup) => ownNeeds(system, backup)),
    ...bases.flatMap((base) => openNeeds(system, base)),
    ...inUseNeeds(system),
  ];
  const byTimeline = Map.groupBy(needs, ({ timeline }) => timeline);
  const isStrange = strangeBranches(system, options);
  return (piece) =>
    byTimeline.get(piece.timeline)?.find((need) => overlaps(piece, need))?.reason ??
      (isStrange(piece) ? "no kept backup leads to this timeline yet" : undefined);
}

function overlaps(piece: WalPiece, need: Need): boolean {
  return need.first <= piece.last && piece.first <= need.last;
}

/**
 * Where recovery may start from and then go on to the end of the log. Without a window those are
 * all that stay: no gap is ever opened that nobody has asked for.
 *
 * With one, those that ended in it lie behind the one that it begins with, unless a clock was wrong
 * when one of them was taken: so they are asked, too, and those that end in the future.
 */
function basesOf(
  system: PruneSystem,
  { physical, policy, now }: Kept,
): readonly PhysicalBackup[] {
  if (policy.pitrWindow === undefined) return physical;
  const from = now - policy.pitrWindow;
  const bases = windowBases(system, { from, now });
  return [
    ...bases,
    ...physical.filter(({ stoppedAt, inUseBy }) => stoppedAt >= from || inUseBy !== undefined),
  ];
}

/** From start to stop: without these the backup is worth nothing, once recovery has the archive. */
function ownNeeds(system: PruneSystem, { id, wal }: PhysicalBackup): readonly Need[] {
  const history = historyOf(system, wal.timeline);
  const first = segmentNumber(wal.startLsn, system.segmentBytes);
  const last = Math.max(first, lastSegmentNumber(wal.stopLsn, system.segmentBytes));
  const reason = `backup ${id} needs it`;
  // The segment that holds a switch exists under both names; whichever is asked for, it is there.
  const timelines = [wal.timeline, ...history.ancestors.map(({ timeline }) => timeline)];
  return timelines.map((timeline) => ({ timeline, first, last, reason }));
}

/** Everything from the start of `base` on, along every history that leads through its end. */
function openNeeds(system: PruneSystem, base: PhysicalBackup): readonly Need[] {
  const { segmentBytes } = system;
  const first = segmentNumber(base.wal.startLsn, segmentBytes);
  const reason = `from backup ${base.id} to now`;
  const open = (timeline: number): Need => ({ timeline, first, last: Infinity, reason });
  const needs = [
    open(base.wal.timeline),
    ...switchNeeds(historyOf(system, base.wal.timeline), { first, segmentBytes, reason }),
  ];
  for (const timeline of new Set(system.wal.map((piece) => piece.timeline))) {
    const history = system.histories.get(timeline);
    if (history === undefined) {
      // It may have grown out of this one: nobody can tell.
      if (timeline > base.wal.timeline) needs.push(open(timeline));
      continue;
    }
    const place = { timeline: base.wal.timeline, lsn: base.wal.stopLsn };
    if (timeline === base.wal.timeline || !isOnHistory(history, place)) continue;
    needs.push(open(timeline), ...switchNeeds(history, { first, segmentBytes, reason }));
  }
  return needs;
}

/** On the ancestors of a timeline: up to the segment in which each was left. */
function switchNeeds(
  { ancestors }: TimelineHistory,
  { first, segmentBytes, reason }: {
    readonly first: number;
    readonly segmentBytes: number;
    readonly reason: string;
  },
): readonly Need[] {
  return ancestors.map(({ timeline, switchLsn }) => ({
    ...{ timeline, first, reason },
    last: segmentNumber(switchLsn, segmentBytes),
  }));
}

function inUseNeeds({ wal, walInUseFrom }: PruneSystem): readonly Need[] {
  if (walInUseFrom === undefined) return [];
  return [...new Set(wal.map(({ timeline }) => timeline))].map((timeline) => ({
    ...{ timeline, first: walInUseFrom, last: Infinity },
    reason: "a restore reads it",
  }));
}
