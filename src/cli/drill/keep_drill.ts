import type { BackupManifest } from "../../catalog/catalog.ts";
import { recordCheck } from "../../catalog/checks.ts";
import type { Clock } from "../../domain/clock.ts";
import {
  BackupctlError,
  IntegrityError,
  PostgresError,
  StorageError,
} from "../../domain/errors.ts";
import type { Progress } from "../../domain/progress.ts";
import type { DrillReport } from "../../engine/drill/drill.ts";
import type { RecoveryPlan } from "../../engine/engine.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import { recoveryDocument } from "../recovery_plan.ts";
import { VERSION } from "../version.ts";

/** A drill that has ended, in one way or the other. */
export interface EndedDrill {
  readonly backup: BackupManifest;
  readonly report?: DrillReport;
  readonly error?: unknown;
  readonly recovery: RecoveryPlan | undefined;
  readonly startedAt: Date;
  readonly clock: Clock;
  readonly progress: Progress;
}

/**
 * Keeps the outcome of a drill in the repository, as a new object. What says nothing about the
 * backup, such as a disk that was full or a table that is not there, is not kept. A store that refuses is a note and no failure.
 */
export async function keepDrill(store: ObjectStore, drill: EndedDrill): Promise<void> {
  const { backup, report, error, startedAt, clock, progress } = drill;
  const isFinding = error instanceof IntegrityError || error instanceof PostgresError;
  if (!report && !isFinding) return;
  const failed = report?.checks.filter((check) => !check.ok) ?? [];
  if (failed.length > 0 && failed.every(({ absent }) => absent)) return;
  const ok = report !== undefined && failed.length === 0;
  try {
    await recordCheck(store, {
      cluster: backup.cluster,
      systemIdentifier: backup.systemIdentifier,
      kind: "drilled",
      subject: backup.id,
      outcome: ok ? "ok" : "failed",
      finishedAt: clock.now(),
      details: {
        startedAt: startedAt.toISOString(),
        recoverySeconds: report?.recoverySeconds ?? null,
        restoreSeconds: report?.restoreSeconds ?? null,
        recovery: drill.recovery ? recoveryDocument(drill.recovery) : null,
        lastCommit: report?.lastCommit ?? null,
        checks: report?.checks ?? [],
        error: error instanceof BackupctlError
          ? { code: error.code, message: error.message }
          : null,
        host: Deno.hostname(),
        tool: { name: "backupctl", version: VERSION },
      },
    });
  } catch (failure) {
    if (!(failure instanceof StorageError)) throw failure;
    progress.note(`the outcome was not kept in the repository: ${failure.message}`);
  }
}
