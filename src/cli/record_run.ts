import type { RunRecord } from "../catalog/run_record.ts";
import type { BackupManifest } from "../catalog/catalog.ts";
import { BackupctlError, InterruptedError } from "../domain/errors.ts";
import { escapeControl } from "../log/format_record.ts";
import type { Context } from "./context.ts";
import { openMetadata, stateFolder } from "./open_parts.ts";
import type { Session } from "./session.ts";
import { VERSION } from "./version.ts";

/** How a run went, as far as the command knows. */
export interface RunReport {
  /** The command's words: `backup full`, `restore`, `verify` … */
  readonly operation: string;
  readonly startedAt: Date;
  readonly seconds: number;
  /** The backup that was made or used. */
  readonly backup?: BackupManifest;
  readonly rawBytes?: number;
  readonly storedBytes?: number;
  readonly error?: unknown;
}

/** Runs that add backups or remove them. */
const CHANGES: ReadonlySet<string> = new Set([
  "backup full",
  "backup incremental",
  "delete",
  "prune",
]);

/**
 * Tells the index in PostgreSQL of a run, and people when it failed; when the index cannot be
 * reached, the run waits in a local file for the next one. Never throws: no backup fails because
 * of its index or its alerts.
 */
export async function recordRun(
  session: Session,
  context: Context,
  report: RunReport,
): Promise<void> {
  const { config } = session.loaded;
  const run = runRecord(config.cluster, { report, context });
  if (config.metadata.url !== "off") await keep(session, context, { run, report });
  if (!hasAlerts(config)) return;
  const { alertOnRun } = await import("./alerts/alert_on_run.ts");
  await alertOnRun(session, context, run);
}

/** Whether anybody is to hear of a run; loads nothing to find out. */
function hasAlerts({ alerts }: Session["loaded"]["config"]): boolean {
  return alerts.email !== undefined || alerts.webhooks.length > 0 || alerts.heartbeat !== undefined;
}

async function keep(
  session: Session,
  context: Context,
  { run, report }: { readonly run: RunRecord; readonly report: RunReport },
): Promise<void> {
  try {
    const reason = await deliver(session, context, { run, report });
    if (reason !== undefined) warn(session, { what: reason, report });
  } catch (error) {
    warn(session, { what: `${reasonOf(error)}; it was not kept anywhere`, report });
  }
}

/** @returns why the run waits, or undefined when it was recorded. */
async function deliver(
  session: Session,
  context: Context,
  { run, report }: { readonly run: RunRecord; readonly report: RunReport },
): Promise<string | undefined> {
  const { config } = session.loaded;
  const folder = stateFolder(config, context.env);
  const { RunJournal } = await import("../catalog/run_journal.ts");
  const journal = folder === undefined ? undefined : new RunJournal(folder);
  // A restore must not depend on the server that it may be replacing.
  if (report.operation === "restore") {
    await journal?.append(run);
    return undefined;
  }
  const metadata = await openMetadata(config, context);
  if (!metadata) return undefined;
  try {
    if (journal) {
      const { recorded, reason } = await journal.record(run, metadata.index);
      if (!recorded) return `${reasonOf(reason)}; the run waits in ${folder} for the next one`;
    } else await metadata.index.recordRun(run);
    if (report.error === undefined && report.backup) {
      await metadata.index.recordBackup(report.backup);
    }
    if (report.error === undefined && CHANGES.has(report.operation)) {
      const { followRepository } = await import("./follow_repository.ts");
      await followRepository(metadata.index, { config, context, log: session.log });
    }
    return undefined;
  } finally {
    await metadata.close();
  }
}

/** A failed run has its own error on the screen already. */
function warn(
  { log, loaded }: Session,
  { what, report }: { readonly what: string; readonly report: RunReport },
): void {
  const fields = {
    cluster: loaded.config.cluster,
    ...(report.backup && { backup_id: report.backup.id }),
  };
  const message = `the run was not recorded in PostgreSQL: ${what}`;
  if (report.error === undefined) log.warning("catalog.not_recorded", message, fields);
  else log.debug("catalog.not_recorded", message, fields);
}

function runRecord(
  cluster: string,
  { report, context }: { readonly report: RunReport; readonly context: Context },
): RunRecord {
  const { error, backup, startedAt } = report;
  return {
    runId: crypto.randomUUID(),
    cluster,
    operation: report.operation,
    outcome: outcomeOf(error),
    startedAt: startedAt.toISOString(),
    finishedAt: context.clock.now().toISOString(),
    durationSeconds: report.seconds,
    backupId: backup?.id ?? null,
    rawBytes: report.rawBytes ?? null,
    storedBytes: report.storedBytes ?? null,
    error: error === undefined ? null : {
      code: error instanceof BackupctlError ? error.code : "BUG",
      message: messageOf(error),
      hint: error instanceof BackupctlError ? error.hint ?? null : null,
    },
    host: Deno.hostname(),
    toolVersion: VERSION,
  };
}

function outcomeOf(error: unknown): RunRecord["outcome"] {
  if (error === undefined) return "succeeded";
  return error instanceof InterruptedError ? "interrupted" : "failed";
}

function messageOf(error: unknown): string {
  return escapeControl(error instanceof Error ? error.message : String(error));
}

/** With the remedy: nobody asks for it again. */
function reasonOf(error: unknown): string {
  const hint = error instanceof BackupctlError ? error.hint : undefined;
  return messageOf(error) + (hint === undefined ? "" : ` (${escapeControl(hint)})`);
}
