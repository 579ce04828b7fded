/**
 * The grammar of retention policies: `weekly-retain=4,monthly-retain=3,pitr-window=14d`.
 * docs/retention.md says what each rule keeps.
 *
 * @module
 */
import { parseDuration } from "./duration.ts";
import { UsageError } from "./errors.ts";
import { nearest } from "./nearest.ts";

/** A rule that keeps a number of backups. */
export type CountRule =
  | "last"
  | "hourly"
  | "daily"
  | "weekly"
  | "monthly"
  | "yearly"
  | "full"
  | "logical";

/** What to keep: a backup stays when any of the rules keeps it. */
export interface RetentionPolicy {
  /** `weekly-retain=4` is `weekly: 4`. */
  readonly counts: Readonly<Partial<Record<CountRule, number>>>;
  /** Milliseconds back from now in which every moment stays restorable. */
  readonly pitrWindow: number | undefined;
  /** So many of the newest stay whatever the rules say; at least 1. */
  readonly minRedundancy: number;
}

/** The rules that count, in the order in which they are explained. */
export const COUNT_RULES: readonly CountRule[] = [
  "last",
  "hourly",
  "daily",
  "weekly",
  "monthly",
  "yearly",
  "full",
  "logical",
];

const WINDOW = "pitr-window";
const REDUNDANCY = "min-redundancy";
const MOST = 99_999;

/** Every key that a policy may have. */
export const POLICY_KEYS: readonly string[] = [
  ...COUNT_RULES.map((rule) => `${rule}-retain`),
  WINDOW,
  REDUNDANCY,
];

/**
 * Reads a policy.
 *
 * @throws {UsageError} naming the rule that cannot be, with the nearest key.
 */
export function parseRetentionPolicy(text: string): RetentionPolicy {
  const values = new Map<string, string>();
  for (const rule of text.split(",")) {
    const [key, value] = splitRule(rule.trim());
    if (values.has(key)) throw new UsageError(`${key} stands twice in the policy`);
    values.set(key, value);
  }
  const counts = COUNT_RULES.flatMap((rule) => {
    const value = values.get(`${rule}-retain`);
    return value === undefined ? [] : [[rule, wholeNumber(`${rule}-retain`, value, 1)]];
  });
  const window = values.get(WINDOW);
  const redundancy = values.get(REDUNDANCY);
  return {
    counts: Object.fromEntries(counts),
    pitrWindow: window === undefined ? undefined : span(window),
    minRedundancy: redundancy === undefined
      ? 1
      : Math.max(1, wholeNumber(REDUNDANCY, redundancy, 0)),
  };
}

function splitRule(rule: string): readonly [key: string, value: string] {
  const at = rule.indexOf("=");
  const key = at === -1 ? rule : rule.slice(0, at);
  if (POLICY_KEYS.includes(key) && at !== -1) return [key, rule.slice(at + 1)];
  if (POLICY_KEYS.includes(key)) {
    throw new UsageError(`${key} has no value`, `write ${key}=${key === WINDOW ? "14d" : "4"}`);
  }
  const meant = nearest(key, POLICY_KEYS);
  throw new UsageError(
    `${JSON.stringify(rule.slice(0, 60))} is no rule of a retention policy`,
    meant === undefined ? `the rules are ${POLICY_KEYS.join(", ")}` : `did you mean ${meant}?`,
  );
}

function wholeNumber(key: string, value: string, least: number): number {
  const number = /^\d{1,5}$/.test(value) ? Number(value) : NaN;
  if (number >= least) return number;
  throw new UsageError(
    `${key}=${value.slice(0, 40)} is not a whole number from ${least} to ${MOST}`,
    least === 1 && number === 0 ? "leave the rule out instead" : undefined,
  );
}

function span(value: string): number {
  const window = parseDuration(value);
  if (window !== undefined && window > 0) return window;
  throw new UsageError(`${WINDOW}=${value.slice(0, 40)} is not a time such as 36h, 14d or 4w`);
}
