import { counted } from "../../domain/counted.ts";
import { formatBytes, formatSeconds } from "../../domain/bytes.ts";
import type { DrillReport } from "../../engine/drill/drill.ts";
import type { CheckResult } from "../../engine/drill/run_checks.ts";
import type { RecoveryPlan } from "../../engine/engine.ts";
import { escapeControl } from "../../log/format_record.ts";
import { backupDocument } from "../backup_document.ts";
import { type Context, printResult } from "../context.ts";
import { recoveryDocument } from "../recovery_plan.ts";

/** The checks that the restored copy did not pass. */
export function failedChecks({ checks }: DrillReport): readonly CheckResult[] {
  return checks.filter(({ ok }) => !ok);
}

/** Prints what a drill came to. */
export function printDrill(
  report: DrillReport,
  { recovery, context }: {
    readonly recovery: RecoveryPlan | undefined;
    readonly context: Context;
  },
): void {
  printResult(context, { json: () => document(report, recovery), text: () => text(report) });
}

function document(report: DrillReport, recovery: RecoveryPlan | undefined): unknown {
  return {
    schema: "backupctl.drill/1",
    ok: failedChecks(report).length === 0,
    backup: backupDocument(report.backup),
    recovery: recovery ? recoveryDocument(recovery) : null,
    recovery_seconds: report.recoverySeconds,
    restore_seconds: report.restoreSeconds,
    size_bytes: report.rawBytes,
    fetched_bytes: report.fetchedBytes,
    last_commit: report.lastCommit ?? null,
    checks: report.checks,
    scratch_folder: report.kept ?? null,
  };
}

function text(report: DrillReport): string {
  const { backup, recoverySeconds, restoreSeconds, rawBytes, lastCommit, checks, kept } = report;
  const failed = failedChecks(report).length;
  const verdict = failed === 0
    ? "succeeded"
    : `failed in ${failed} of ${counted(checks.length, "check")}`;
  const width = Math.max(0, ...checks.map(({ name }) => name.length));
  const lines = [
    `the drill of backup ${backup.id} ${verdict}`,
    `  open after ${formatSeconds(recoverySeconds)}; ${formatBytes(rawBytes)} restored in ` +
    formatSeconds(restoreSeconds),
    ...(lastCommit === undefined ? [] : [`  last transaction: ${lastCommit}`]),
    ...checks.map(({ name, ok, detail }) =>
      `  ${ok ? "ok    " : "failed"}  ${name.padEnd(width)}  ${detail}`
    ),
    ...(kept === undefined ? [] : [`  the scratch folder is kept: ${kept}`]),
  ];
  return lines.map((line) => `${escapeControl(line)}\n`).join("");
}
