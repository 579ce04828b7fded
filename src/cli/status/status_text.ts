import type { BackupManifest, UnfinishedBackup } from "../../catalog/catalog.ts";
import type { StoredLease } from "../../catalog/lease_list.ts";
import { type IndexFigures, RECENT_DAYS } from "../../catalog/metadata_manager.ts";
import { startOfBackup } from "../../domain/backup_id.ts";
import { formatBytes, formatSeconds } from "../../domain/bytes.ts";
import { describeArchiver } from "../../engine/archiving.ts";
import type { StorageUse } from "../../engine/storage_use.ts";
import { escapeControl } from "../../log/format_record.ts";
import { formatAge } from "../age.ts";
import type { ServerReport } from "../ask_archiver.ts";
import { backupDocument, chosenDatabases, formatTime, ratio } from "../backup_document.ts";
import { type Column, formatTable, type TableOptions } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { windowTable } from "../wal_windows_view.ts";
import { paragraph } from "../wrap.ts";
import type { StatusFound } from "./collect_status.ts";
import { sparkline } from "./sparkline.ts";
import { newestOf, storedBytes } from "./status_document.ts";

/** How text is laid out on a terminal. */
export function lookOf({ stdout, unicode }: Terminal): TableOptions {
  return { color: stdout.color, unicode, width: stdout.columns() };
}

const COLUMNS: readonly Column[] = [
  { title: "BACKUP" },
  { title: "METHOD", dropAt: 1 },
  { title: "KIND", dropAt: 2 },
  { title: "PARENT", dropAt: 3 },
  { title: "LABEL", shortenTo: 8, dropAt: 11 },
  { title: "SYSTEM", dropAt: 12 },
  { title: "ENDED (UTC)" },
  { title: "SIZE", align: "right" },
  { title: "STORED", align: "right", dropAt: 10 },
  { title: "RATIO", align: "right", dropAt: 4 },
  { title: "TOOK", align: "right", dropAt: 9 },
  { title: "VERIFIED", align: "right", dropAt: 6 },
  { title: "DRILLED", align: "right", dropAt: 7 },
  { title: "KEPT", dropAt: 5 },
  { title: "STATE" },
];

/** Windows first, then the backups, then what there is to say beside them. */
export function statusText(
  found: StatusFound,
  { last, look }: { readonly last: number | undefined; readonly look: TableOptions },
): string {
  const { backups, archive, cluster, location } = found;
  const windows = archive ? windowTable(archive.report, look) : "";
  if (backups.length === 0 && windows === "") {
    const none = paragraph(`no backups of cluster ${cluster} in ${location} yet`, look.width);
    return none + besides(found, look);
  }
  const shown = newestOf(backups, last);
  const parts = [
    paragraph(headline(found, shown.length), look.width),
    windows,
    backupTable(found, { shown, look }),
    found.storage.length > 1 ? storageTable(found.storage, look) : "",
    besides(found, look),
  ];
  return parts.filter((part) => part !== "").join("\n");
}

function headline(found: StatusFound, shown: number): string {
  const { backups, cluster, location } = found;
  const left = backups.length - shown;
  const more = left > 0 ? `, ${left} older not shown` : "";
  const count = `${backups.length} ${backups.length === 1 ? "backup" : "backups"}`;
  return `cluster ${cluster} in ${location}: ${count}, ${
    formatBytes(storedBytes(found))
  } stored${more}`;
}

function backupTable(
  found: StatusFound,
  { shown, look }: { readonly shown: readonly BackupManifest[]; readonly look: TableOptions },
): string {
  // A new initdb, or a second server that took the first one's cluster name by mistake.
  const mixed = new Set(found.backups.map(({ systemIdentifier }) => systemIdentifier)).size > 1;
  return formatTable(COLUMNS, shown.map((backup) => row(backup, { found, mixed })), look);
}

function row(
  backup: BackupManifest,
  { found, mixed }: { readonly found: StatusFound; readonly mixed: boolean },
): readonly string[] {
  const facts = found.factsOf(backup);
  const document = backupDocument(backup, facts);
  const ago = (time: Date | null | undefined) =>
    time ? formatAge(found.now.getTime() - time.getTime()) : "";
  return [
    document.id,
    document.method,
    [document.kind, chosenDatabases(backup)].filter((word) => word !== undefined).join(", "),
    document.parent_id ?? "",
    document.label ?? "",
    mixed ? backup.systemIdentifier : "",
    formatTime(document.stopped_at).replace("Z", ""),
    formatBytes(backup.rawBytes),
    formatBytes(backup.storedBytes),
    ratio(backup),
    formatSeconds(document.duration_seconds),
    ago(facts.checks?.verifiedAt),
    facts.checks?.drillFailedAt ? "failed" : ago(facts.checks?.drilledAt),
    keptText(document.keep_until),
    document.state === "complete with damage" ? "damaged pages" : document.state,
  ];
}

/** `for ever`, a day, or nothing. */
export function keptText(until: string | null): string {
  if (until === null) return "";
  return until === "infinity" ? "for ever" : until.slice(0, 10);
}

const STORAGE_COLUMNS: readonly Column[] = [
  { title: "WHAT IS STORED" },
  { title: "COUNT", align: "right" },
  { title: "SIZE", align: "right" },
  { title: "STORED", align: "right" },
  { title: "RATIO", align: "right" },
];

const KIND_NAMES: Readonly<Record<StorageUse["kind"], string>> = {
  physical: "physical backups",
  incremental: "increments",
  logical: "logical backups",
  wal: "WAL segments",
  unfinished: "unfinished",
};

function storageTable(storage: readonly StorageUse[], look: TableOptions): string {
  const rows = storage.map(({ kind, count, rawBytes, storedBytes }) => [
    KIND_NAMES[kind],
    String(count),
    rawBytes === undefined ? "" : formatBytes(rawBytes),
    formatBytes(storedBytes),
    rawBytes === undefined ? "" : ratio({ rawBytes, storedBytes }),
  ]);
  return formatTable(STORAGE_COLUMNS, rows, look);
}

function besides(found: StatusFound, look: TableOptions): string {
  const { figures, now } = found;
  const lines = [
    ...found.unfinished.map((backup) => unfinishedLine(backup, now)),
    ...found.leases.map((lease) => leaseLine(lease, now)),
    ...(typeof found.server === "object" ? archiverLines(found.server, now) : []),
    ...(typeof figures === "object" ? figureLines(figures, { now, look }) : []),
  ];
  return lines.map((line) => paragraph(escapeControl(line), look.width)).join("");
}

/** `unfinished: 20261123T020000Z-F, 3 h old, 1.2 GB stored: a run that is still going or was killed`. */
export function unfinishedLine(backup: UnfinishedBackup, now: Date): string {
  const { id, storedBytes, lastStoredAt } = backup;
  const ago = (time: Date) => formatAge(now.getTime() - time.getTime());
  const written = lastStoredAt ? `, last written ${ago(lastStoredAt)} ago` : "";
  return `unfinished: ${id}, ${ago(startOfBackup(id))} old, ${formatBytes(storedBytes)} stored` +
    `${written}: a run that is still going or was killed`;
}

/** Only what is not as it should be: one file that waits is on its way. */
function archiverLines({ archiving, backlog }: ServerReport, now: Date): readonly string[] {
  const isFailing = archiving.lastFailedAt !== undefined &&
    archiving.lastFailedAt > (archiving.lastArchivedAt ?? new Date(0));
  const failing = isFailing ? [`archiving fails: ${describeArchiver(archiving)}`] : [];
  if (!backlog || backlog.files < 2) return failing;
  const age = backlog.oldestAt && formatAge(now.getTime() - backlog.oldestAt.getTime());
  const since = age === undefined ? "" : `, the oldest for ${age}`;
  return [
    ...failing,
    `${backlog.files} files of WAL (${formatBytes(backlog.bytes)}) wait to be archived${since}`,
  ];
}

/** A run that is at work renews its lease within minutes. */
const LONGEST_AT_WORK = 3_600_000;

function leaseLine(lease: StoredLease, now: Date): string {
  const { holder: { what, host, pid }, takenAt, storedAt, durationMs } = lease;
  if (durationMs > LONGEST_AT_WORK) {
    const until = new Date(storedAt.getTime() + durationMs).toISOString().slice(0, 16);
    return `what it may still fetch stays until ${
      until.replace("T", " ")
    } UTC: ${what} on host ${host}`;
  }
  const since = Date.parse(takenAt);
  const age = Number.isNaN(since) ? "" : ` for ${formatAge(now.getTime() - since)}`;
  return `at work${age}: ${what} on host ${host} (process ${pid})`;
}

function figureLines(
  { recent, last, storage }: IndexFigures,
  { now, look }: { readonly now: Date; readonly look: TableOptions },
): readonly string[] {
  const lines: string[] = [];
  const ended = recent.succeeded + recent.failed;
  if (ended > 0) {
    const rate = Math.floor(recent.succeeded / ended * 100);
    const failures = recent.failed === 0
      ? "none failed"
      : `${recent.failed} failed (${rate} % well)`;
    lines.push(
      `runs of the last ${RECENT_DAYS} days: ${recent.succeeded} succeeded, ${failures}` +
        (last ? `; the last one, ${last.operation}, ${last.outcome} ${since(last, now)}` : ""),
    );
  }
  if (storage.length > 1) {
    const totals = storage.map(({ uses }) => uses.reduce((sum, use) => sum + use.storedBytes, 0));
    const days = (now.getTime() - Date.parse(storage[0]!.at)) / 86_400_000;
    lines.push(
      `stored over ${Math.max(1, Math.round(days))} days: ` +
        `${sparkline(totals.slice(-30), { unicode: look.unicode ?? false })} ` +
        `from ${formatBytes(totals[0]!)} to ${formatBytes(totals.at(-1)!)}`,
    );
  }
  return lines;
}

function since({ finishedAt }: { readonly finishedAt: string }, now: Date): string {
  const age = now.getTime() - Date.parse(finishedAt);
  return age < 60_000 ? "just now" : `${formatAge(age)} ago`;
}
