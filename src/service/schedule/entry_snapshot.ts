import type { EntrySnapshot, FiringOutcome } from "../snapshot.ts";
import type { EntryState, RunState, ScheduleEntry } from "./schedule_entry.ts";

const OUTCOMES = {
  running: "running",
  succeeded: "succeeded",
  failed: "failed",
  interrupted: "failed",
  lost: "lost",
  unknown: "lost",
} as const satisfies Record<RunState["outcome"], FiringOutcome["outcome"]>;

/** How an entry stands, for people and machines. */
export function entrySnapshot(
  { name, cron, run, kind, timezone }: ScheduleEntry,
  { state, nextRun }: {
    readonly state: EntryState | undefined;
    readonly nextRun: Date | undefined;
  },
): EntrySnapshot {
  return { name, cron, run, kind, timezone, nextRun, last: state && lastFiring(state) };
}

/** The newer of the last run and the last moment that was skipped. */
function lastFiring({ run, skipped }: EntryState): FiringOutcome | undefined {
  if (skipped && (!run || skipped.at > (run.finishedAt ?? ""))) {
    const at = new Date(skipped.at);
    return {
      due: new Date(skipped.due),
      startedAt: at,
      finishedAt: at,
      outcome: "skipped",
      exitStatus: undefined,
      message: skipped.reason,
    };
  }
  return run && {
    due: new Date(run.due),
    startedAt: new Date(run.startedAt),
    finishedAt: run.finishedAt === undefined ? undefined : new Date(run.finishedAt),
    outcome: OUTCOMES[run.outcome],
    exitStatus: run.exitStatus,
    message: run.message,
  };
}
