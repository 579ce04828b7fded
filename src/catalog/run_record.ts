import * as v from "valibot";

/** How a run ended. */
export type RunOutcome = "succeeded" | "failed" | "interrupted";

/** One run of backupctl, whatever became of it. */
export interface RunRecord {
  /** A UUID: recording the same run twice is recording it once. */
  readonly runId: string;
  /** The cluster that it was about. */
  readonly cluster: string;
  /** `backup full`, `restore`, `prune`, `verify` … */
  readonly operation: string;
  /** How it ended. */
  readonly outcome: RunOutcome;
  /** RFC 3339 UTC. */
  readonly startedAt: string;
  /** RFC 3339 UTC. */
  readonly finishedAt: string;
  /** By the monotonic clock, so it may differ from the two times' distance. */
  readonly durationSeconds: number;
  /** The backup that it made or used. */
  readonly backupId: string | null;
  /** Bytes before compression. */
  readonly rawBytes: number | null;
  /** Bytes as stored. */
  readonly storedBytes: number | null;
  /** Why it failed. */
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint: string | null;
  } | null;
  /** The machine that it ran on. */
  readonly host: string | null;
  /** The version of backupctl. */
  readonly toolVersion: string;
}

const size = v.nullable(v.pipe(v.number(), v.safeInteger(), v.minValue(0)));
const time = v.pipe(v.string(), v.isoTimestamp());

const schema = v.object({
  runId: v.pipe(v.string(), v.uuid()),
  cluster: v.string(),
  operation: v.string(),
  outcome: v.picklist(["succeeded", "failed", "interrupted"]),
  startedAt: time,
  finishedAt: time,
  durationSeconds: v.pipe(v.number(), v.finite()),
  backupId: v.nullable(v.string()),
  rawBytes: size,
  storedBytes: size,
  error: v.nullable(
    v.object({ code: v.string(), message: v.string(), hint: v.nullable(v.string()) }),
  ),
  host: v.nullable(v.string()),
  toolVersion: v.string(),
});

/** Reads one line of a journal; undefined when it is not a whole run. */
export function parseRunRecord(line: string): RunRecord | undefined {
  try {
    const result = v.safeParse(schema, JSON.parse(line));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}
