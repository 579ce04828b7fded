import type { CountRule, RetentionPolicy } from "../../domain/retention_policy.ts";
import { COUNT_RULES } from "../../domain/retention_policy.ts";
import { byStopTime, chainOf, isFromFuture } from "./backup_order.ts";
import { formatSpan } from "./format_span.ts";
import { holdsNames } from "./held_databases.ts";
import type { PruneBackup, PruneSystem } from "./prune_model.ts";
import { periodOf } from "./period_of.ts";
import { branchBases } from "./strange_branches.ts";
import { isPhysical, windowBases } from "./window_bases.ts";

/** Why backups stay, by their ids. Those without a reason go. */
export type Reasons = ReadonlyMap<string, readonly string[]>;

/** Why one of chosen databases stays when nobody here can open what its manifest seals. */
export const SEALED_CHOICE = "which databases it holds is sealed";

/** What the rules are applied to. */
export interface KeepOptions {
  readonly policy: RetentionPolicy;
  readonly now: number;
}

/**
 * Chooses the backups of one system that stay. Physical and logical ones are counted apart, since
 * neither can stand in for the other, and so are logical ones of different databases.
 */
export function chooseKept(system: PruneSystem, options: KeepOptions): Reasons {
  const chosen = new Chosen();
  const { physical = [], logical = [] } = Object.groupBy(system.backups, ({ method }) => method);
  applyRules(chosen, { all: physical, method: "physical", what: "physical backup", ...options });
  applyToLogical(chosen, logical, options);
  applyWindow(chosen, system, options);
  for (const backup of system.backups) keepForPeople(chosen, backup, options);
  keepBranches(chosen, system, options);
  keepChains(chosen, system.backups);
  return chosen.reasons;
}

class Chosen {
  readonly reasons = new Map<string, string[]>();

  keep({ id }: PruneBackup, reason: string): void {
    const known = this.reasons.get(id) ?? [];
    if (known.length === 0) this.reasons.set(id, known);
    if (!known.includes(reason)) known.push(reason);
  }
}

/**
 * Those of all databases by themselves, and then each choice of databases: one of these gives way
 * only to another that holds at least the same. Of those of all databases only the ones that stay
 * count there: what gives way to a backup that then goes, too, would be lost.
 */
function applyToLogical(
  chosen: Chosen,
  logical: readonly PruneBackup[],
  options: KeepOptions,
): void {
  const method = "logical";
  const whole = logical.filter(({ databases }) => databases?.all);
  const what = "logical backup of all databases";
  applyRules(chosen, { all: whole, method, what, ...options });
  const staying = whole.filter(({ id }) => chosen.reasons.has(id));
  const others = logical.filter(({ databases }) => !databases?.all);
  const choices = new Map<string, readonly string[]>();
  for (const backup of others) {
    const names = backup.databases?.names;
    if (names) choices.set(JSON.stringify(names), names);
    else chosen.keep(backup, SEALED_CHOICE);
  }
  for (const names of choices.values()) {
    const all = [...others, ...staying].filter((backup) => holdsNames(backup, names));
    applyRules(chosen, { all, method, what: `logical backup with ${listed(names)}`, ...options });
  }
}

function listed(names: readonly string[]): string {
  if (names.length === 0) return "no database";
  const more = names.length > 3 ? ` and ${names.length - 3} more` : "";
  return names.slice(0, 3).join(", ") + more;
}

interface Group extends KeepOptions {
  readonly all: readonly PruneBackup[];
  readonly method: PruneBackup["method"];
  /** For people. */
  readonly what: string;
}

function applyRules(chosen: Chosen, { all, method, what, policy, now }: Group): void {
  const newestFirst = byStopTime(all).reverse().filter((backup) => !isFromFuture(backup, now));
  const [newest] = newestFirst;
  if (newest) chosen.keep(newest, `the newest ${what}`);
  if (policy.minRedundancy > 1) {
    for (const backup of newestFirst.slice(0, policy.minRedundancy)) {
      chosen.keep(backup, `min-redundancy=${policy.minRedundancy}`);
    }
  }
  if (!speaksOf(policy, method)) {
    for (const backup of all) chosen.keep(backup, `no rule is for ${method} backups`);
  }
  for (const rule of COUNT_RULES) {
    const count = policy.counts[rule];
    if (count !== undefined) applyCount(chosen, { newestFirst, all, rule, count });
  }
}

/** A policy that says nothing of a method leaves its backups alone. */
function speaksOf(policy: RetentionPolicy, method: PruneBackup["method"]): boolean {
  const other = COUNT_RULES.some((rule) => rule !== "logical" && policy.counts[rule] !== undefined);
  if (other) return true;
  if (method === "logical") return policy.counts.logical !== undefined;
  return policy.pitrWindow !== undefined;
}

function applyCount(
  chosen: Chosen,
  { newestFirst, all, rule, count }: {
    readonly newestFirst: readonly PruneBackup[];
    readonly all: readonly PruneBackup[];
    readonly rule: CountRule;
    readonly count: number;
  },
): void {
  const reason = `${rule}-retain=${count}`;
  if (rule === "full") return keepFulls(chosen, { newestFirst, all, count, reason });
  if (rule === "logical") {
    const logical = newestFirst.filter(({ method }) => method === "logical");
    for (const backup of logical.slice(0, count)) chosen.keep(backup, reason);
    return;
  }
  if (rule === "last") {
    for (const backup of newestFirst.slice(0, count)) chosen.keep(backup, reason);
    return;
  }
  const seen = new Set<string>();
  for (const backup of newestFirst) {
    const period = periodOf(backup.stoppedAt, rule);
    if (seen.has(period)) continue;
    if (seen.size === count) return;
    seen.add(period);
    chosen.keep(backup, `${reason} (${period})`);
  }
}

/** Full backups, and what was built on them. */
function keepFulls(
  chosen: Chosen,
  { newestFirst, all, count, reason }: {
    readonly newestFirst: readonly PruneBackup[];
    readonly all: readonly PruneBackup[];
    readonly count: number;
    readonly reason: string;
  },
): void {
  const fulls = newestFirst.filter(({ kind }) => kind === "full").slice(0, count);
  const kept = new Set(fulls.map(({ id }) => id));
  for (const backup of fulls) chosen.keep(backup, reason);
  const parents = new Map(all.map((backup) => [backup.id, backup]));
  for (const backup of all) {
    const root = chainOf(backup, parents).at(-1)!;
    if (root.id !== backup.id && kept.has(root.id)) {
      chosen.keep(backup, `${reason}, built on ${root.id}`);
    }
  }
}

function applyWindow(chosen: Chosen, system: PruneSystem, { policy, now }: KeepOptions): void {
  if (policy.pitrWindow === undefined) return;
  const reason = `pitr-window=${formatSpan(policy.pitrWindow)}`;
  const from = now - policy.pitrWindow;
  for (const backup of system.backups) {
    if (backup.method === "physical" && backup.stoppedAt >= from) chosen.keep(backup, reason);
  }
  for (const base of windowBases(system, { from, now })) {
    chosen.keep(base, `the window of ${reason} begins with it`);
  }
}

/** A window has a base for every timeline; counting knows nothing of the one that is written to. */
function keepBranches(chosen: Chosen, system: PruneSystem, options: KeepOptions): void {
  if (options.policy.pitrWindow !== undefined) return;
  const parents = new Map(system.backups.map((backup) => [backup.id, backup]));
  const kept = system.backups.filter(({ id }) => chosen.reasons.has(id));
  const whole = new Set(kept.flatMap((backup) => chainOf(backup, parents)));
  const physical = [...whole].filter(isPhysical);
  for (const { timeline, backup } of branchBases(system, { physical, ...options })) {
    chosen.keep(backup, `the newest that leads to timeline ${timeline}, which goes on`);
  }
}

function keepForPeople(chosen: Chosen, backup: PruneBackup, { now }: KeepOptions): void {
  const { pin, inUseBy } = backup;
  if (pin && (pin.until === null || pin.until > now)) {
    const until = pin.until === null ? "" : ` until ${new Date(pin.until).toISOString()}`;
    chosen.keep(backup, `kept on request${until}`);
  }
  if (inUseBy !== undefined) chosen.keep(backup, `in use by ${inUseBy}`);
  if (isFromFuture(backup, now)) chosen.keep(backup, "its end lies in the future");
}

/** An increment is worth nothing without every backup below it. */
function keepChains(chosen: Chosen, backups: readonly PruneBackup[]): void {
  const parents = new Map(backups.map((backup) => [backup.id, backup]));
  for (const backup of byStopTime(backups).reverse()) {
    if (!chosen.reasons.has(backup.id)) continue;
    for (const base of chainOf(backup, parents).slice(1)) {
      chosen.keep(base, `${backup.id} builds on it`);
    }
  }
}
