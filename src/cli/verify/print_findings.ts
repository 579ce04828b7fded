import type { ChainAudit } from "../../catalog/signed_chain.ts";
import { counted } from "../../domain/counted.ts";
import { formatBytes } from "../../domain/bytes.ts";
import { escapeControl } from "../../log/format_record.ts";
import { type Context, printResult } from "../context.ts";
import type { Findings } from "./find_damage.ts";

/** How many faults there are. */
export function countFaults({ backups, unreadable, archives }: Findings): number {
  const counts = [...backups, ...archives].map(({ faults }) => faults.length);
  return counts.reduce((sum, count) => sum + count, unreadable.length);
}

/** Every backup that cannot be restored any more. */
export function lostBackups({ backups, unreadable }: Findings): readonly string[] {
  const faults = [...backups.flatMap(({ faults }) => faults), ...unreadable];
  return [...new Set(faults.flatMap(({ lost }) => lost))];
}

/** Prints what was read and what is wrong with it. */
export function printFindings(
  found: Findings,
  { sample, context }: { readonly sample: number; readonly context: Context },
): void {
  printResult(context, {
    json: () => document(found, sample),
    text: () => text(found, sample),
  });
}

function document(found: Findings, sample: number): unknown {
  const { backups, unreadable, archives, skipped } = found;
  return {
    schema: "backupctl.verify/1",
    ok: countFaults(found) === 0,
    sample,
    skipped,
    backups: backups.map(({ backup, objects, storedBytes, faults }) => ({
      ...{ id: backup.id, objects, stored_bytes: storedBytes, ok: faults.length === 0 },
    })),
    wal: archives.map(({ systemIdentifier, objects, storedBytes, withoutDigest, faults }) => ({
      ...{ system_identifier: systemIdentifier, objects, stored_bytes: storedBytes },
      ...{ without_digest: withoutDigest, ok: faults.length === 0 },
    })),
    faults: [
      ...[...unreadable, ...backups.flatMap(({ faults }) => faults)]
        .map(({ key, backupId, reason, lost }) => ({ key, backup_id: backupId, reason, lost })),
      ...archives.flatMap(({ faults }) => faults)
        .map(({ key, reason, stopped }) => ({ key, reason, not_rolled_forward: stopped })),
    ],
    lost: lostBackups(found),
    ...(found.signatures && { signatures: found.signatures.map(signatureDocument) }),
  };
}

function signatureDocument(audit: ChainAudit): unknown {
  const { systemIdentifier, signed, highest, newest, missing, missingIds } = audit;
  return {
    ...{ system_identifier: systemIdentifier, signed, highest_sequence: highest },
    newest: newest?.id ?? null,
    ...{ missing_sequences: missing, missing_ids: missingIds },
  };
}

function signatureLines(audit: ChainAudit): readonly string[] {
  const { signed, highest, missing, missingIds } = audit;
  const ids = missingIds.length === 0 ? "" : ` (${some(missingIds)})`;
  return [
    `  signed backups: ${signed}, up to number ${highest}`,
    ...(missing.length === 0 ? [] : [
      `  warning: ${counted(missing.length, "signed backup")} gone, and nobody signed for their ` +
      `removal: removed elsewhere, or hidden: number ${some(missing)}${ids}`,
    ]),
  ];
}

function some(values: readonly (string | number)[]): string {
  return `${values.slice(0, 10).join(", ")}${values.length > 10 ? " and more" : ""}`;
}

function text(found: Findings, sample: number): string {
  const { backups, unreadable, archives, skipped } = found;
  const objects = sum([...backups, ...archives].map((one) => one.objects));
  const bytes = sum([...backups, ...archives].map(({ storedBytes }) => storedBytes));
  const unsure = sum(archives.map(({ withoutDigest }) => withoutDigest));
  const faults = [
    ...[...unreadable, ...backups.flatMap(({ faults }) => faults)].map(({ key, reason, lost }) =>
      `damaged: ${key} ${reason}${lost.length === 0 ? "" : `; lost with it: ${lost.join(", ")}`}`
    ),
    ...archives.flatMap(({ faults }) => faults).map(({ key, reason, stopped }) =>
      `damaged: WAL ${key} ${reason}${
        stopped.length === 0 ? "" : `; not rolled forward past it: ${stopped.join(", ")}`
      }`
    ),
  ];
  const verdict = faults.length === 0
    ? "nothing is damaged or missing"
    : counted(faults.length, "fault");
  const lines = [
    `${counted(objects, "object")} of ${counted(backups.length, "backup")} and their WAL read, ` +
    `${formatBytes(bytes)}: ${verdict}`,
    ...(sample < 1 ? [`  a sample of ${Number((sample * 100).toFixed(3))} %`] : []),
    ...(skipped > 0 ? [`  left out, as verified before: ${counted(skipped, "backup")}`] : []),
    ...(unsure > 0
      ? [`  ${counted(unsure, "WAL file")} without a recorded SHA-256: checked by form`]
      : []),
    ...(found.signatures ?? []).flatMap(signatureLines),
    ...faults,
  ];
  return lines.map((line) => `${escapeControl(line)}\n`).join("");
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
