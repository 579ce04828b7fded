import type { RunRecord } from "../../../catalog/catalog.ts";
import type { OpenAlert } from "../alert_state.ts";
import type { Look } from "../decide.ts";
import { type Finding, orderFindings } from "../notice.ts";
import {
  backupDamaged,
  backupUnreadable,
  diskLow,
  drillTooOld,
  fullTooOld,
  pruneNotRun,
  verifyTooOld,
} from "./backup_rules.ts";
import { configRefused, expiresSoon, unreachable } from "./host_rules.ts";
import type { AlertSnapshot, Rule, RuleLimits } from "./rule.ts";
import { entryFailed, isConclusive, runFailed, runFinding, scheduleSilent } from "./run_rules.ts";
import { walConflict, walGap, walLag } from "./wal_rules.ts";

/** Every rule, by the name that its findings carry. */
export const RULES: Readonly<Record<string, Rule>> = {
  run_failed: runFailed,
  entry_failed: entryFailed,
  schedule_silent: scheduleSilent,
  full_too_old: fullTooOld,
  backup_unreadable: backupUnreadable,
  backup_damaged: backupDamaged,
  wal_gap: walGap,
  wal_lag: walLag,
  wal_conflict: walConflict,
  disk_low: diskLow,
  prune_not_run: pruneNotRun,
  drill_too_old: drillTooOld,
  verify_too_old: verifyTooOld,
  expires_soon: expiresSoon,
  unreachable,
  config_refused: configRefused,
};

/**
 * What must be found twice in a row before it is told: uploads that overtake each other leave a
 * gap for seconds, and a network blinks.
 */
const CONFIRMED = new Set(["wal_gap", "wal_conflict", "unreachable"]);

/** How many looks in a row must find it. */
export function confirmLooks(rule: string): number {
  return CONFIRMED.has(rule) ? 2 : 1;
}

/** All rules over one snapshot. */
export function lookAt(snapshot: AlertSnapshot, limits: RuleLimits): Omit<Look, "now"> {
  const results = new Map(
    Object.entries(RULES).map(([name, rule]) => [name, rule(snapshot, limits)]),
  );
  const findings = [...results.values()].flatMap((found): readonly Finding[] => found ?? []);
  const told = (rule: string) => results.get(rule) !== undefined || !results.has(rule);
  return {
    findings: orderFindings(findings),
    covers: (alert) => alert.rule === "run_failed" ? isMadeGood(alert, snapshot) : told(alert.rule),
  };
}

/**
 * A failed run is over when one of its operation has succeeded since, and not because the list of
 * runs lacks it: the index may be behind, switched off, or only keep so many.
 */
function isMadeGood({ subject, since }: OpenAlert, { runs }: AlertSnapshot): boolean {
  return runs.some(({ operation, outcome, finishedAt }) =>
    operation === subject && outcome === "succeeded" && Date.parse(finishedAt) > since
  );
}

/** The end of one run alone. Undefined when it tells nothing. */
export function lookAtRun(run: RunRecord): Omit<Look, "now"> | undefined {
  if (!isConclusive(run)) return undefined;
  const finding = runFinding(run);
  return {
    findings: finding ? [finding] : [],
    covers: ({ rule, subject }) => rule === "run_failed" && subject === run.operation,
    definite: true,
  };
}
