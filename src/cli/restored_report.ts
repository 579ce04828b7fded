import { counted } from "../domain/counted.ts";
import { formatBytes, formatSeconds } from "../domain/bytes.ts";
import type { RecoveryPlan, RestoreReport } from "../engine/engine.ts";
import { describeTarget } from "../engine/recovery/recovery_target.ts";
import type { StartedServer } from "../engine/recovery/start_restored.ts";
import { escapeControl } from "../log/format_record.ts";
import { backupDocument } from "./backup_document.ts";
import { type Context, printResult } from "./context.ts";
import { recoveryDocument } from "./recovery_plan.ts";

/** What a restore came to. */
interface Restored {
  readonly recovery: RecoveryPlan | undefined;
  /** When it was started. */
  readonly server: StartedServer | undefined;
  readonly keepArchiving: boolean;
  readonly context: Context;
}

/** Prints what was restored, where it stands, and what to do next. */
export function printRestored(report: RestoreReport, restored: Restored): void {
  printResult(restored.context, {
    json: () => restoredDocument(report, restored),
    text: () => restoredText(report, restored),
  });
}

function restoredDocument(
  { backup, destination, files, rawBytes, fetchedBytes, kept, durationSeconds }: RestoreReport,
  { recovery, server }: Restored,
): unknown {
  return {
    schema: "backupctl.restore/1",
    backup: backupDocument(backup),
    destination,
    files,
    size_bytes: rawBytes,
    fetched_bytes: fetchedBytes,
    kept_files: kept?.files ?? null,
    kept_bytes: kept?.bytes ?? null,
    duration_seconds: Math.round(durationSeconds * 1000) / 1000,
    recovery: recovery ? recoveryDocument(recovery) : null,
    server: server
      ? {
        state: server.state,
        pid: server.pid ?? null,
        port: server.port ?? null,
        socket_folder: server.socketFolder ?? null,
        log: server.logFile,
        last_commit: server.lastCommit ?? null,
      }
      : null,
  };
}

function restoredText(report: RestoreReport, restored: Restored): string {
  const { backup, destination, rawBytes, kept, durationSeconds } = report;
  const lines = [
    `backup ${backup.id} is restored to ${escapeControl(destination)}`,
    `  ${formatBytes(rawBytes)} in ${formatSeconds(durationSeconds)}`,
    ...(kept
      ? [
        `  equal, and left as it was: ${counted(kept.files, "file")} of ${formatBytes(kept.bytes)}`,
      ]
      : []),
    ...(backup.method === "physical" ? nextSteps(report, restored) : []),
  ];
  return `${lines.join("\n")}\n`;
}

function nextSteps(
  { destination }: RestoreReport,
  { recovery, server, keepArchiving }: Restored,
): readonly string[] {
  const steps = server ? serverLines(server) : recovery
    ? [
      `  when started, it recovers to ${describeTarget(recovery.request.target)} ` +
      `on timeline ${recovery.timeline}: pg_ctl -D ${escapeControl(destination)} start`,
    ]
    : [];
  if (keepArchiving) return steps;
  const archiving = recovery
    ? "  archiving is off in it: ALTER SYSTEM RESET archive_mode and a restart turn it on"
    : "  archiving is off in it, since it goes on under the names of the WAL that is archived; " +
      "--immediate or --latest begin a timeline of its own";
  return [...steps, archiving];
}

function serverLines({ state, pid, port, lastCommit, next }: StartedServer): readonly string[] {
  const process = pid === undefined ? "" : `, process ${pid}, port ${port}`;
  return [
    `  the server is ${STATES[state]}${process}`,
    ...(lastCommit === undefined ? [] : [`  last transaction: ${lastCommit}`]),
    ...(next === undefined ? [] : [`  ${next}`]),
  ];
}

const STATES = {
  promoted: "open for writing",
  paused: "paused at the target",
  standby: "in recovery, open for reading",
  shutdown: "shut down at the target",
} as const;
