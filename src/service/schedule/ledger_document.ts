import * as v from "valibot";
import { RepositoryError } from "../../domain/errors.ts";

const time = v.pipe(v.string(), v.isoTimestamp());
const mark = v.object({ pid: v.number(), start: v.exactOptional(v.string()) });
const holder = v.object({ id: v.string(), host: v.string(), process: mark });

const run = v.object({
  due: time,
  startedAt: time,
  attempt: v.number(),
  host: v.string(),
  process: v.exactOptional(mark),
  finishedAt: v.exactOptional(time),
  outcome: v.picklist(["running", "succeeded", "failed", "interrupted", "lost", "unknown"]),
  exitStatus: v.exactOptional(v.number()),
  message: v.exactOptional(v.string()),
});

const entry = v.object({
  due: time,
  run: v.exactOptional(run),
  skipped: v.exactOptional(
    v.object({ due: time, at: time, reason: v.picklist(["still running", "missed"]) }),
  ),
});

const ledger = v.object({
  schema: v.literal("backupctl.schedule/1"),
  /** A UUID of this very writing: whether an answer was lost is told by it. */
  write: v.string(),
  /** Null: nobody leads. */
  holder: v.nullable(holder),
  writtenAt: time,
  entries: v.record(v.string(), entry),
});

/** `<cluster>/schedule.json`: who runs the schedule, and what became of its entries. */
export type LedgerDocument = v.InferOutput<typeof ledger>;
/** A daemon. */
export type LedgerHolder = v.InferOutput<typeof holder>;

/** @throws {RepositoryError} when it is not readable: nothing may be begun on a guess. */
export function parseLedger(text: string, key: string): LedgerDocument {
  try {
    const result = v.safeParse(ledger, JSON.parse(text));
    if (result.success) return result.output;
  } catch {
    // Below.
  }
  throw new RepositoryError(
    `${key} cannot be read as a schedule's ledger`,
    "was it written by a newer backupctl? Upgrade this one, or remove the object to begin anew",
  );
}
