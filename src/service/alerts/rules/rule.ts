import type { ServiceSnapshot } from "../../snapshot.ts";
import type { Finding } from "../notice.ts";

/** Something that ends on a day: a certificate, a credential. */
export interface Expiry {
  /** For people: `the client certificate /etc/ssl/client.pem`. */
  readonly what: string;
  readonly at: Date;
}

/** A disk that must not fill up. */
export interface DiskSpace {
  /** For people: `the repository`, `the state folder`. */
  readonly what: string;
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** A backup, or the archive of WAL, in which damage was found. */
export interface DamagedBackup {
  /** A backup's name, or `wal`. */
  readonly subject: string;
  /** By reading it back, or by restoring it. */
  readonly by: "verify" | "drill";
  readonly foundAt: Date;
}

/** What the rules look at: the daemon's snapshot, and what only alerts ask for. */
export interface AlertSnapshot extends ServiceSnapshot {
  readonly expiries?: readonly Expiry[];
  /** Besides the repository's own. */
  readonly disks?: readonly DiskSpace[];
  /** When runs failed of which people have heard already, from the runs themselves. */
  readonly toldFailures?: readonly Date[];
  /** Damage that nothing since took back. */
  readonly damaged?: readonly DamagedBackup[];
}

/** When the rules find something wrong. Times in milliseconds; undefined: the rule is off. */
export interface RuleLimits {
  readonly fullMaxAge: number | undefined;
  readonly walLag: number | undefined;
  /** A part of the whole, such as 0.1. */
  readonly diskFree: number;
  /** Only where something is to be pruned. */
  readonly pruneMaxAge: number | undefined;
  readonly drillMaxAge: number | undefined;
  readonly verifyMaxAge: number | undefined;
  /** How late an entry of the schedule may be. */
  readonly scheduleLate: number | undefined;
  /** How long before its end something is told of. */
  readonly expiryWarning: number | undefined;
}

/** A rule: looks at a snapshot and at nothing else. Undefined when the snapshot cannot tell. */
export type Rule = (
  snapshot: AlertSnapshot,
  limits: RuleLimits,
) => readonly Finding[] | undefined;

/** Findings of one rule at most: more of them help nobody who reads a message. */
const SHOWN = 20;

/** The first few findings, and one that counts the others. */
export function atMost(findings: readonly Finding[]): readonly Finding[] {
  if (findings.length <= SHOWN) return findings;
  const more = findings.length - SHOWN;
  const [first] = findings;
  return [
    ...findings.slice(0, SHOWN),
    {
      rule: first!.rule,
      subject: "more",
      severity: first!.severity,
      title: `${more} more of this kind: ${first!.rule.replaceAll("_", " ")}`,
    },
  ];
}

/** `9 days`, `5 hours`, `12 minutes`, `40 seconds`. */
export function spanText(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const units: readonly (readonly [number, string])[] = [
    [86_400, "days"],
    [3_600, "hours"],
    [60, "minutes"],
  ];
  for (const [size, name] of units) {
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${name}`;
  }
  return `${seconds} seconds`;
}
