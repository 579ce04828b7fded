/**
 * Where a recovery is to end. PostgreSQL docs, "Recovery Target".
 *
 * @module
 */
import { UsageError } from "../../domain/errors.ts";
import type { Lsn } from "../../domain/lsn.ts";
import { formatLsn, parseLsn } from "../../domain/lsn.ts";
import type { EpochMicros } from "./recovery_time.ts";
import { isoTime, parseRecoveryTime } from "./recovery_time.ts";

/** The moment that was asked for. */
export type RecoveryTarget =
  /** The last commit that is not later. */
  | { readonly kind: "time"; readonly micros: EpochMicros }
  | { readonly kind: "lsn"; readonly lsn: Lsn }
  /** 32 bits: what PostgreSQL writes into the log, without the epoch. */
  | { readonly kind: "xid"; readonly xid: number }
  /** What `pg_create_restore_point` was given. */
  | { readonly kind: "name"; readonly name: string }
  /** As soon as the backup is consistent. */
  | { readonly kind: "immediate" }
  /** The end of the archive. */
  | { readonly kind: "latest" };

/** Which branch to follow: the newest, the backup's own, or one by its number. */
export type TimelineChoice = "latest" | "current" | number;

/** What the server does when it has arrived. */
export type TargetAction = "pause" | "promote" | "shutdown";

/** A recovery as it was asked for. */
export interface RecoveryRequest {
  /** The moment. */
  readonly target: RecoveryTarget;
  /** Whether the transaction or record at the target is applied as well. */
  readonly inclusive: boolean;
  /** The branch. */
  readonly timeline: TimelineChoice;
  /** At the target. */
  readonly action: TargetAction;
  /** Stay in recovery and go on asking for WAL. */
  readonly standby: boolean;
}

/** The flags of the command line that ask for a recovery, as they were typed. */
export interface RecoveryTexts {
  readonly to?: string;
  readonly toLsn?: string;
  readonly toXid?: string;
  readonly toName?: string;
  readonly immediate?: boolean;
  readonly latest?: boolean;
  readonly exclusive?: boolean;
  readonly timeline?: string;
  readonly action?: string;
  readonly standby?: boolean;
}

const ACTIONS = ["pause", "promote", "shutdown"] as const;
/** 0 to 2 mean no, the bootstrap and the frozen transaction. src/include/access/transam.h */
const FIRST_NORMAL_XID = 3n;
const LARGEST_TIMELINE = 0xffffffff;
/** PostgreSQL's MAXFNAMELEN without its final zero. */
const LONGEST_NAME_BYTES = 63;
const TARGET_FLAGS = "--to, --to-lsn, --to-xid, --to-name, --immediate or --latest";

/**
 * Reads the flags.
 *
 * @returns undefined when no recovery is asked for: the backup then ends in its own moment.
 * @throws {UsageError} with the corrected text where one can be guessed.
 */
export function parseRecoveryRequest(texts: RecoveryTexts): RecoveryRequest | undefined {
  const target = parseTarget(texts);
  if (!target) return refuseOptions(texts);
  const { exclusive = false, standby = false } = texts;
  if (exclusive && !["time", "lsn", "xid"].includes(target.kind)) {
    throw new UsageError(
      `--exclusive says nothing about ${describeTarget(target)}`,
      "it goes with --to, --to-lsn and --to-xid",
    );
  }
  return {
    target,
    inclusive: !exclusive,
    timeline: parseTimeline(texts.timeline, target),
    action: parseAction(texts.action, { target, standby }),
    standby,
  };
}

/** For messages: `the time 2024-01-15T12:30:00Z`. */
export function describeTarget(target: RecoveryTarget): string {
  switch (target.kind) {
    case "time":
      return `the time ${isoTime(target.micros)}`;
    case "lsn":
      return `LSN ${formatLsn(target.lsn)}`;
    case "xid":
      return `transaction ${target.xid}`;
    case "name":
      return `the restore point ${JSON.stringify(target.name)}`;
    case "immediate":
      return "the backup's own end";
    case "latest":
      return "the end of the archive";
  }
}

function parseTarget(texts: RecoveryTexts): RecoveryTarget | undefined {
  const asked = [
    texts.to !== undefined && (() => timeTarget(texts.to!)),
    texts.toLsn !== undefined && (() => lsnTarget(texts.toLsn!)),
    texts.toXid !== undefined && (() => xidTarget(texts.toXid!)),
    texts.toName !== undefined && (() => nameTarget(texts.toName!)),
    texts.immediate === true && (() => ({ kind: "immediate" } as const)),
    texts.latest === true && (() => ({ kind: "latest" } as const)),
  ].filter((parse) => parse !== false);
  if (asked.length > 1) {
    throw new UsageError("a recovery has one target", `give only one of ${TARGET_FLAGS}`);
  }
  if (asked[0]) return asked[0]();
  return texts.standby ? { kind: "latest" } : undefined;
}

function refuseOptions({ exclusive, timeline, action }: RecoveryTexts): undefined {
  const flag = exclusive
    ? "--exclusive"
    : timeline !== undefined
    ? "--timeline"
    : action !== undefined
    ? "--action"
    : undefined;
  if (flag === undefined) return undefined;
  throw new UsageError(`${flag} needs a target`, `add one of ${TARGET_FLAGS}`);
}

function timeTarget(text: string): RecoveryTarget {
  return { kind: "time", micros: parseRecoveryTime(text) };
}

function lsnTarget(text: string): RecoveryTarget {
  const lsn = tryLsn(text.trim());
  if (lsn !== undefined && lsn > 0n) return { kind: "lsn", lsn };
  throw new UsageError(
    `${JSON.stringify(text)} is not a position in the log`,
    "write it as select pg_current_wal_lsn() shows it, such as 16/B374D848",
  );
}

function tryLsn(text: string): Lsn | undefined {
  try {
    return parseLsn(text);
  } catch {
    return undefined;
  }
}

function xidTarget(text: string): RecoveryTarget {
  const digits = text.trim();
  if (/^\d{1,19}$/.test(digits)) {
    const xid = BigInt(digits) & 0xffffffffn;
    if (xid >= FIRST_NORMAL_XID) return { kind: "xid", xid: Number(xid) };
  }
  throw new UsageError(
    `${JSON.stringify(text)} is not a transaction`,
    "write the number that select pg_current_xact_id() or txid_current() showed inside it",
  );
}

function nameTarget(name: string): RecoveryTarget {
  const bytes = new TextEncoder().encode(name).length;
  if (bytes >= 1 && bytes <= LONGEST_NAME_BYTES && !/\p{Cc}/u.test(name)) {
    return { kind: "name", name };
  }
  throw new UsageError(
    `${JSON.stringify(name.slice(0, 80))} is not the name of a restore point`,
    `such a name has 1 to ${LONGEST_NAME_BYTES} bytes and no control characters`,
  );
}

function parseTimeline(text: string | undefined, target: RecoveryTarget): TimelineChoice {
  if (text === undefined) return target.kind === "immediate" ? "current" : "latest";
  if (text === "latest" || text === "current") return text;
  const number = /^(?:[1-9]\d{0,9}|0x[0-9a-f]{1,8})$/i.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= LARGEST_TIMELINE) return number;
  const padded = /^[0-9a-f]{8}$/i.test(text) ? Number.parseInt(text, 16) : 0;
  throw new UsageError(
    `${JSON.stringify(text)} is not a timeline`,
    padded > 0
      ? `in the names of WAL files ${text} stands for timeline ${padded}: write ${padded}`
      : "write latest, current, or its number",
  );
}

function parseAction(
  text: string | undefined,
  { target, standby }: { readonly target: RecoveryTarget; readonly standby: boolean },
): TargetAction {
  if (text === undefined) return standby ? "pause" : "promote";
  const action = ACTIONS.find((action) => action === text);
  if (!action) {
    throw new UsageError(
      `${JSON.stringify(text)} is nothing to do at the target`,
      `write ${ACTIONS.join(", ")}`,
    );
  }
  if (target.kind === "latest" && (standby || action !== "promote")) {
    throw new UsageError(
      `--action ${action} needs a target to stop at; the end of the archive is none`,
      "to keep the server in recovery there, give --standby alone",
    );
  }
  return action;
}
