import type { BackupManifest } from "../catalog/catalog.ts";
import { BackupctlError, InterruptedError } from "../domain/errors.ts";
import type { LogFields, LoggedTask } from "../log/log.ts";
import type { Context } from "./context.ts";
import { recordRun } from "./record_run.ts";
import type { Session } from "./session.ts";

/** A run that the log and the index shall hear of. */
export interface TrackedRun<T> {
  /** The first word of the events' names. */
  readonly task: LoggedTask;
  /** The command's words. */
  readonly operation: string;
  /** For sentences: `backup of cluster main`. */
  readonly what: string;
  /** The backup that is used; known before only when restoring. */
  readonly backup?: BackupManifest;
  readonly work: () => Promise<T>;
  /** What came of it. */
  readonly result: (value: T) => {
    readonly backup?: BackupManifest;
    readonly rawBytes?: number;
    readonly storedBytes: number;
  };
}

/**
 * Does the work between a `started` and a `finished` or `failed` event, and records the run.
 *
 * @throws what the work throws; after an abort, the reason of it.
 */
export async function trackRun<T>(
  session: Session,
  context: Context,
  run: TrackedRun<T>,
): Promise<T> {
  const { log, loaded: { config: { cluster } } } = session;
  const { clock } = context;
  const [startedAt, start] = [clock.now(), clock.monotonic()];
  const elapsed = () => Math.round(clock.monotonic() - start) / 1000;
  const named = { cluster, ...(run.backup && { backup_id: run.backup.id }) };
  log.info(`${run.task}.started`, `${run.what} started`, named);
  const report = { operation: run.operation, startedAt };
  try {
    const value = await run.work();
    const result = run.result(value);
    session.progress[Symbol.dispose]();
    const made = run.backup || !result.backup ? "" : `: ${result.backup.id}`;
    log.info(`${run.task}.finished`, `${run.what} finished${made}`, {
      ...named,
      ...(result.backup && { backup_id: result.backup.id }),
      ...(result.rawBytes !== undefined && { size_bytes: result.rawBytes }),
      stored_bytes: result.storedBytes,
      ...(!run.backup && result.backup?.takenOver && {
        taken_over_bytes: result.backup.takenOver.storedBytes,
      }),
      duration_seconds: elapsed(),
    });
    await recordRun(session, context, { ...report, seconds: elapsed(), ...result });
    return value;
  } catch (thrown) {
    const error = context.signal.aborted ? reasonOf(thrown, context.signal) : thrown;
    session.progress[Symbol.dispose]();
    tellFailure(error, { session, run, fields: { ...named, duration_seconds: elapsed() } });
    const used = run.backup ? { backup: run.backup } : {};
    await recordRun(session, context, { ...report, seconds: elapsed(), ...used, error });
    throw error;
  }
}

/** The reason of the abort, unless what was thrown is that with more to say. */
function reasonOf(thrown: unknown, { reason }: AbortSignal): unknown {
  return thrown instanceof BackupctlError && thrown.cause === reason ? thrown : reason;
}

function tellFailure<T>(
  error: unknown,
  { session: { log }, run, fields }: {
    readonly session: Session;
    readonly run: TrackedRun<T>;
    readonly fields: LogFields;
  },
): void {
  if (error instanceof InterruptedError) {
    log.warning("process.interrupted", `${run.what} was ${error.message}`, fields);
    return;
  }
  const [code, hint] = error instanceof BackupctlError ? [error.code, error.hint] : ["BUG"];
  const message = error instanceof Error ? error.message : String(error);
  log.error(`${run.task}.failed`, `${run.what} failed: ${message}`, {
    ...fields,
    error: { code, message, ...(hint !== undefined && { hint }) },
  });
}
