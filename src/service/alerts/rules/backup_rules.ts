import { formatBytes } from "../../../domain/bytes.ts";
import type { Finding } from "../notice.ts";
import { type AlertSnapshot, atMost, type Rule, spanText } from "./rule.ts";

/** No full backup for too long. */
export const fullTooOld: Rule = ({ repository, takenAt }, { fullMaxAge }) => {
  if (!repository) return undefined;
  if (fullMaxAge === undefined) return [];
  const newest = repository.backups.findLast(({ kind }) => kind === "full");
  const base = { rule: "full_too_old", subject: "full", severity: "critical" } as const;
  const hint = 'do scheduled backups run? "backupctl backup full" takes one now';
  if (!newest) return [{ ...base, title: "there is no full backup", hint }];
  const age = takenAt.getTime() - Date.parse(newest.stoppedAt);
  if (age <= fullMaxAge) return [];
  return [{
    ...base,
    title: `the newest full backup is ${spanText(age)} old`,
    detail: `It is ${newest.id}; none should be older than ${spanText(fullMaxAge)}.`,
    hint,
  }];
};

/** A manifest that stands in the repository cannot be used. */
export const backupUnreadable: Rule = ({ repository }) => {
  if (!repository) return undefined;
  return atMost(repository.unreadable.map(({ key, reason }) => ({
    rule: "backup_unreadable",
    subject: key,
    severity: "critical",
    title: `${key} cannot be used: ${reason}`,
    hint: "what it describes cannot be restored; take a new backup soon",
  })));
};

/** Somebody read a backup back, or restored it, and it was not right. */
export const backupDamaged: Rule = ({ damaged }) =>
  damaged && atMost(damaged.map(({ subject, by, foundAt }) => ({
    rule: "backup_damaged",
    subject,
    severity: "critical",
    title: subject === "wal"
      ? "the WAL archive is damaged"
      : by === "verify"
      ? `backup ${subject} is damaged`
      : `backup ${subject} could not be restored by a drill`,
    detail: `${by} found it at ${foundAt.toISOString()}.`,
    hint: "take a new backup now; what is damaged cannot be made good",
  })));

/** A run that is wanted every so often has not succeeded for too long. */
function notRun(
  operation: string,
  { rule, limit, hint }: {
    readonly rule: string;
    readonly limit: (limits: Parameters<Rule>[1]) => number | undefined;
    readonly hint: string;
  },
): Rule {
  return (snapshot, limits) => {
    const most = limit(limits);
    if (most === undefined) return [];
    const since = lastSuccess(snapshot, { operation, within: most });
    if (since === undefined) return undefined;
    const age = snapshot.takenAt.getTime() - since.at;
    if (age <= most) return [];
    const title = since.known
      ? `${operation} last succeeded ${spanText(age)} ago`
      : `${operation} has not succeeded for ${spanText(age)} at least`;
    const finding: Finding = {
      rule,
      subject: operation,
      severity: "warning",
      title,
      detail: `It should not be longer than ${spanText(most)}.`,
      hint,
    };
    return [finding];
  };
}

/**
 * When an operation last succeeded, or since when it has not for sure: the runs that are known
 * reach back so far only. Undefined when they do not reach back far enough to tell.
 */
function lastSuccess(
  { runs, takenAt }: AlertSnapshot,
  { operation, within }: { readonly operation: string; readonly within: number },
): { readonly at: number; readonly known: boolean } | undefined {
  const times = runs
    .filter((run) => run.outcome === "succeeded" && run.operation.split(" ")[0] === operation)
    .map((run) => Date.parse(run.finishedAt));
  if (times.length > 0) return { at: Math.max(...times), known: true };
  const oldest = Math.min(...runs.map((run) => Date.parse(run.finishedAt)));
  if (!Number.isFinite(oldest) || takenAt.getTime() - oldest <= within) return undefined;
  return { at: oldest, known: false };
}

/** Nothing removes what is no longer needed. */
export const pruneNotRun = notRun("prune", {
  rule: "prune_not_run",
  limit: ({ pruneMaxAge }) => pruneMaxAge,
  hint: "the repository grows without bound; is it in the schedule or in cron?",
});

/** Nobody knows whether the backups can be restored. */
export const drillTooOld = notRun("drill", {
  rule: "drill_too_old",
  limit: ({ drillMaxAge }) => drillMaxAge,
  hint: "a backup that was never restored is a hope",
});

/** Nobody has read the repository back. */
export const verifyTooOld = notRun("verify", {
  rule: "verify_too_old",
  limit: ({ verifyMaxAge }) => verifyMaxAge,
  hint: "damage that nobody looks for is found by a restore",
});

/** Little room on a disk. */
export const diskLow: Rule = ({ repository, disks = [] }, { diskFree }) => {
  const own = repository?.disk ? [{ what: "the repository's disk", ...repository.disk }] : [];
  return [...own, ...disks].flatMap(({ what, freeBytes, totalBytes }) => {
    const part = totalBytes > 0 ? freeBytes / totalBytes : 1;
    if (part >= diskFree) return [];
    return [{
      rule: "disk_low",
      subject: what,
      severity: part < diskFree / 4 ? "critical" as const : "warning" as const,
      title: `${what} has ${formatBytes(freeBytes)} of ${formatBytes(totalBytes)} free`,
      hint: `less than ${Math.round(diskFree * 100)} % are left; make room before it is full`,
    }];
  });
};
