/** What must hold of a removal, told from what was there before and what is there after. */
import assert from "node:assert/strict";
import type { RetentionPolicy } from "../../../src/domain/retention_policy.ts";
import { rootHistory, type TimelineHistory } from "../../../src/domain/timeline_history.ts";
import { isOnHistory } from "../../../src/domain/timeline_path.ts";
import { segmentsBetween } from "../../../src/domain/wal_windows.ts";
import type { PruneBackup } from "../../../src/engine/retention/prune_model.ts";
import { type LivingSystem, SEGMENT_BYTES } from "./history_world.ts";

const TOLERANCE = 5 * 60_000;

/** A system at one moment. */
export interface Snapshot {
  readonly backups: readonly PruneBackup[];
  readonly wal: ReadonlyMap<number, ReadonlySet<number>>;
  readonly storedAt: ReadonlyMap<number, ReadonlyMap<number, number>>;
  readonly histories: ReadonlyMap<number, TimelineHistory>;
}

export function snapshot({ backups, wal, histories }: LivingSystem): Snapshot {
  return {
    backups: [...backups],
    wal: new Map([...wal].map(([timeline, segments]) => [timeline, new Set(segments.keys())])),
    storedAt: new Map([...wal].map(([timeline, segments]) => [timeline, new Map(segments)])),
    histories: new Map(histories),
  };
}

/** Throws when anything that is needed has gone between `before` and `after`. */
export function checkNothingNeededWent(
  { before, after }: { readonly before: Snapshot; readonly after: Snapshot },
  { policy, now }: { readonly policy: RetentionPolicy; readonly now: number },
): void {
  const left = new Map(after.backups.map((backup) => [backup.id, backup]));
  for (const backup of after.backups) checkRestorable(backup, { left, before, after });
  const newest = newestOf(before.backups.filter(({ method }) => method === "physical"), now);
  assert.ok(!newest || left.has(newest.id), "the newest physical backup is gone");
  checkEveryDatabase({ before, after }, now);
  for (const backup of before.backups) {
    const { pin, inUseBy } = backup;
    const pinned = pin && (pin.until === null || pin.until > now);
    assert.ok(!(pinned || inUseBy) || left.has(backup.id), `${backup.id} was pinned or in use`);
  }
  checkGoingOn({ before, after }, now);
  if (policy.pitrWindow === undefined) checkNoGap({ before, after });
  else checkWindow({ before, after }, now - policy.pitrWindow, now);
}

/** Of whatever a logical backup held there is one that is as new and holds all of it. */
function checkEveryDatabase(
  { before, after }: { readonly before: Snapshot; readonly after: Snapshot },
  now: number,
): void {
  const logical = after.backups.filter(({ method, stoppedAt }) =>
    method === "logical" && stoppedAt <= now + TOLERANCE
  );
  for (const { id, method, stoppedAt, databases } of before.backups) {
    if (method === "physical" || after.backups.some((one) => one.id === id)) continue;
    const { all, names } = databases!;
    const standsIn = logical.some((one) =>
      one.stoppedAt >= stoppedAt && (
        (all && one.databases!.all) ||
        (names !== null && names.every((name) => one.databases!.names?.includes(name)))
      )
    );
    assert.ok(standsIn, `${id} is gone, and nothing newer holds ${names?.join(", ") ?? "as much"}`);
  }
}

function newestOf(backups: readonly PruneBackup[], now: number): PruneBackup | undefined {
  return backups.filter(({ stoppedAt }) => stoppedAt <= now + TOLERANCE)
    .toSorted((a, b) => a.stoppedAt - b.stoppedAt || (a.id < b.id ? -1 : 1)).at(-1);
}

function checkRestorable(
  backup: PruneBackup,
  { left, before, after }: {
    readonly left: ReadonlyMap<string, PruneBackup>;
    readonly before: Snapshot;
    readonly after: Snapshot;
  },
): void {
  assert.ok(backup.parentId === null || left.has(backup.parentId), `${backup.id} lost its base`);
  if (!backup.wal) return;
  const { timeline, startLsn, stopLsn } = backup.wal;
  const history = historyOf(before, timeline);
  checkSegments(`${backup.id} from start to stop`, { before, after }, {
    history,
    fromLsn: startLsn,
    toLsn: stopLsn,
  });
}

/** From some backup the timeline that was written to last is as restorable as from any before. */
function checkGoingOn(
  { before, after }: { readonly before: Snapshot; readonly after: Snapshot },
  now: number,
): void {
  const ends = [...before.storedAt].filter(([, segments]) => segments.size > 0)
    .map(([timeline, segments]) => ({ timeline, at: Math.max(...segments.values()) }))
    .toSorted((a, b) => b.at - a.at);
  const [last, other] = ends;
  if (!last || last.at === other?.at) return; // nobody can tell which one goes on
  const { timeline } = last;
  const history = historyOf(before, timeline);
  const end = BigInt((Math.max(...before.wal.get(timeline)!) + 1) * SEGMENT_BYTES);
  const isOn = ({ wal }: PruneBackup) =>
    wal !== null && isOnHistory(history, { timeline: wal.timeline, lsn: wal.stopLsn });
  const leads = (backup: PruneBackup) => isOn(backup) && backup.wal!.startLsn < end;
  if (!before.backups.some((one) => leads(one) && one.stoppedAt <= now + TOLERANCE)) return;
  // What ended behind all of the log, whose end was lost, is worth more.
  if (after.backups.some((one) => isOn(one) && one.wal!.startLsn >= end)) return;
  // Nor does it go on when a backup lies on one that left it with all that it has.
  const isLeftWhole = ({ wal }: PruneBackup) =>
    wal !== null &&
    historyOf(before, wal.timeline).ancestors.some((ancestor) =>
      ancestor.timeline === timeline && ancestor.switchLsn >= end - BigInt(SEGMENT_BYTES)
    );
  if (after.backups.some(isLeftWhole)) return;
  const bases = after.backups.filter(leads);
  assert.ok(bases.length > 0, `no backup leads to timeline ${timeline} any more`);
  const failures = bases.flatMap((base) => {
    try {
      checkAllWays(base, { before, after, only: timeline });
      return [];
    } catch (error) {
      return [error];
    }
  });
  assert.ok(failures.length < bases.length, `timeline ${timeline}: ${failures[0]}`);
}

/** Without a window: whatever a kept backup could be rolled forward into, it still can. */
function checkNoGap({ before, after }: { readonly before: Snapshot; readonly after: Snapshot }) {
  for (const backup of after.backups) checkAllWays(backup, { before, after });
}

function checkAllWays(
  { id, wal }: PruneBackup,
  { before, after, only }: {
    readonly before: Snapshot;
    readonly after: Snapshot;
    readonly only?: number;
  },
): void {
  if (!wal) return;
  for (const timeline of only === undefined ? before.wal.keys() : [only]) {
    const history = historyOf(before, timeline);
    if (!isOnHistory(history, { timeline: wal.timeline, lsn: wal.stopLsn })) continue;
    const end = Math.max(...before.wal.get(timeline)!, 0) + 1;
    const toLsn = BigInt(end * SEGMENT_BYTES);
    if (toLsn <= wal.startLsn) continue;
    checkSegments(`${id} to the end of timeline ${timeline}`, { before, after }, {
      ...{ history, fromLsn: wal.startLsn, toLsn },
    });
  }
}

/** With one: from the newest backup before it, or the oldest that there is, on to every end. */
function checkWindow(
  { before, after }: { readonly before: Snapshot; readonly after: Snapshot },
  from: number,
  now: number,
): void {
  const left = new Set(after.backups.map(({ id }) => id));
  // Whatever their clocks said: of those that are in the window, or behind it, none is cut off.
  for (const backup of after.backups.filter(({ stoppedAt }) => stoppedAt >= from)) {
    checkAllWays(backup, { before, after });
  }
  for (const [timeline, segments] of before.storedAt) {
    if (![...segments.values()].some((storedAt) => storedAt >= from)) continue;
    const history = historyOf(before, timeline);
    const leading = before.backups
      .filter(({ wal, stoppedAt }) =>
        wal && stoppedAt <= now + TOLERANCE &&
        isOnHistory(history, { timeline: wal.timeline, lsn: wal.stopLsn })
      )
      .toSorted((a, b) => a.stoppedAt - b.stoppedAt || (a.id < b.id ? -1 : 1));
    const base = leading.findLast(({ stoppedAt }) => stoppedAt <= from) ?? leading[0];
    if (!base || !reaches(segments, base, from)) continue;
    assert.ok(left.has(base.id), `${base.id}, which the window begins with, is gone`);
    checkAllWays(base, { before, after, only: timeline });
  }
}

/** Whether something of the window lies behind the beginning of `base`. */
function reaches(
  segments: ReadonlyMap<number, number>,
  { wal }: PruneBackup,
  from: number,
): boolean {
  const first = Number(wal!.startLsn / BigInt(SEGMENT_BYTES));
  return [...segments].some(([number, storedAt]) => number >= first && storedAt >= from);
}

function checkSegments(
  what: string,
  { before, after }: { readonly before: Snapshot; readonly after: Snapshot },
  { history, fromLsn, toLsn }: {
    readonly history: TimelineHistory;
    readonly fromLsn: bigint;
    readonly toLsn: bigint;
  },
): void {
  for (
    const { timeline, number } of segmentsBetween(history, {
      fromLsn,
      toLsn,
      segmentBytes: SEGMENT_BYTES,
    })
  ) {
    if (!before.wal.get(timeline)?.has(number)) continue; // it was absent already
    assert.ok(
      after.wal.get(timeline)?.has(number),
      `${what}: segment ${number} of timeline ${timeline} is gone`,
    );
  }
}

function historyOf({ histories }: Snapshot, timeline: number): TimelineHistory {
  return histories.get(timeline) ?? rootHistory(timeline);
}
