import type { RunRecord } from "../../../catalog/catalog.ts";
import type { EntrySnapshot } from "../../snapshot.ts";
import type { Finding } from "../notice.ts";
import { type Rule, spanText } from "./rule.ts";

/** Operations that somebody sits in front of, and sees fail. */
const ATTENDED = new Set(["restore", "delete"]);

/** What a run's end says of its operation; undefined when it says nothing. */
export function runFinding(run: RunRecord): Finding | undefined {
  if (run.outcome !== "failed" || ATTENDED.has(run.operation)) return undefined;
  const { operation, error, host, finishedAt } = run;
  const conflict = error?.code === "ARCHIVE_CONFLICT";
  const damaged = error?.code === "INTEGRITY";
  const what = damaged ? "found damage" : conflict ? "met a conflict" : "failed";
  return {
    rule: "run_failed",
    subject: operation,
    severity: "critical",
    title: `${operation} ${what}: ${error?.message ?? "no reason was recorded"}`,
    detail: `It ended at ${finishedAt}${host === null ? "" : ` on ${host}`}` +
      `${error === null ? "" : `, code ${error.code}`}.`,
    ...(error?.hint && { hint: error.hint }),
  };
}

/** Whether the end of a run tells how its operation stands: one that was interrupted does not. */
export function isConclusive({ operation, outcome }: RunRecord): boolean {
  return outcome !== "interrupted" && !ATTENDED.has(operation);
}

/** The last run of an operation failed. */
export const runFailed: Rule = ({ runs, problems }) => {
  if (problems.some(({ part }) => part === "runs") && runs.length === 0) return undefined;
  return [...latestRuns(runs).values()].flatMap((run) => runFinding(run) ?? []);
};

/** The last firing of an entry failed, and no run that was recorded says so. */
export const entryFailed: Rule = ({ schedule, runs, toldFailures = [] }) => {
  const failed = runs.filter(({ outcome }) => outcome === "failed");
  const known = [...failed.map(({ finishedAt }) => new Date(finishedAt)), ...toldFailures];
  return schedule.flatMap((entry) => entryFinding(entry, known) ?? []);
};

/** By operation, the newest run that tells how it stands. */
function latestRuns(runs: readonly RunRecord[]): ReadonlyMap<string, RunRecord> {
  const latest = new Map<string, RunRecord>();
  for (const run of runs) {
    const known = latest.get(run.operation);
    if (!isConclusive(run) || (known && known.finishedAt >= run.finishedAt)) continue;
    latest.set(run.operation, run);
  }
  return latest;
}

function entryFinding(
  { name, run, last }: EntrySnapshot,
  failures: readonly Date[],
): Finding | undefined {
  if (last?.outcome === "lost") {
    return {
      rule: "entry_failed",
      subject: name,
      severity: "warning",
      title: `${name}: nobody knows how "${run}" of ${last.due.toISOString()} ended`,
      hint: "the daemon died meanwhile; the next run tells",
    };
  }
  if (last?.outcome !== "failed" || isToldOf(last, failures)) return undefined;
  const status = last.exitStatus === undefined ? "" : ` with status ${last.exitStatus}`;
  return {
    rule: "entry_failed",
    subject: name,
    severity: "critical",
    title: `${name}: "${run}" failed${status}${last.message ? `: ${last.message}` : ""}`,
    detail: `It was due at ${last.due.toISOString()}.`,
  };
}

/** Milliseconds that a run may take to tell of its failure, and to end. */
const AFTERMATH = 60_000;

/** Whether a run failed while the entry was at work: the rule for runs tells of that one. */
function isToldOf(
  { startedAt, finishedAt }: NonNullable<EntrySnapshot["last"]>,
  failures: readonly Date[],
): boolean {
  const end = (finishedAt?.getTime() ?? Infinity) + AFTERMATH;
  return failures.some((at) => at >= startedAt && at.getTime() <= end);
}

/** Nobody runs the schedule: an entry is due and nothing happens. */
export const scheduleSilent: Rule = ({ schedule, takenAt }, { scheduleLate }) => {
  if (scheduleLate === undefined) return [];
  // One of a kind runs at a time: the others of that kind are late and not forgotten.
  const busy = new Set(
    schedule.flatMap(({ kind, last }) => last?.outcome === "running" ? kind : []),
  );
  return schedule.flatMap(({ name, run, kind, nextRun }) => {
    if (!nextRun || busy.has(kind)) return [];
    const late = takenAt.getTime() - nextRun.getTime();
    if (late <= scheduleLate) return [];
    return [{
      rule: "schedule_silent",
      subject: name,
      severity: "critical" as const,
      title: `${name}: "${run}" was due ${spanText(late)} ago and has not begun`,
      hint: "does a daemon run the schedule of this cluster?",
    }];
  });
};
