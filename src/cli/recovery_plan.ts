import { formatBytes } from "../domain/bytes.ts";
import type { RecoveryPlan } from "../engine/engine.ts";
import { describeTarget } from "../engine/recovery/recovery_target.ts";

/** What JSON documents say of a recovery. */
export function recoveryDocument({ request, timeline, wal, gaps, notes }: RecoveryPlan): unknown {
  const { target, inclusive, action, standby } = request;
  return {
    target: target.kind,
    target_text: describeTarget(target),
    inclusive,
    timeline,
    action: target.kind === "latest" && !standby ? "promote" : action,
    standby,
    from_wal: wal.from,
    to_wal: wal.to,
    wal_segments: wal.segments,
    wal_bytes: wal.storedBytes,
    gaps: gaps.map(({ timeline, fromWal, toWal }) => ({
      ...{ timeline, from_wal: fromWal, to_wal: toWal },
    })),
    notes,
  };
}

/** The lines of a plan: name and text. */
export function recoveryFacts(
  { backup, request, timeline, wal, notes }: RecoveryPlan,
): readonly (readonly [string, string])[] {
  const { target, inclusive, standby } = request;
  const own = backup.timeline === timeline ? "" : `, from the backup's ${backup.timeline}`;
  const last = standby ? "stays in recovery" : ENDS[request.action];
  const near = inclusive ? "" : "just before ";
  return [
    ["recover to", `${near}${describeTarget(target)}, then it ${last}`],
    ["timeline", `${timeline}${own}`],
    [
      "WAL",
      `${wal.from} to ${wal.to}, ${wal.segments} segments, about ${formatBytes(wal.storedBytes)}`,
    ],
    ...notes.map((note) => ["note", note] as const),
  ];
}

const ENDS = {
  promote: "opens for writing",
  pause: "pauses, open for reading",
  shutdown: "shuts down",
} as const;
