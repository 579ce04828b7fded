/**
 * What a removal would do or did, as text and as a document.
 *
 * @module
 */
import { formatBytes } from "../domain/bytes.ts";
import { segmentName } from "../domain/wal.ts";
import type { JudgedWal, PruneBackup } from "../engine/retention/prune_model.ts";
import type { Removal } from "../engine/retention/prune_parts.ts";
import { formatTime } from "./backup_document.ts";
import { type Column, formatTable, type TableOptions } from "./table.ts";
import { paragraph } from "./wrap.ts";

/** The plan as JSON: sizes in bytes, times RFC 3339. */
export function removalDocument(removal: Removal) {
  return {
    keep: removal.keep.map(({ systemIdentifier, backup, reasons }) => ({
      ...backupDocument(systemIdentifier, backup),
      reasons,
    })),
    remove: removal.remove.map(({ systemIdentifier, backup, reason }) => ({
      ...backupDocument(systemIdentifier, backup),
      reason,
    })),
    wal: joinedWal(removal.wal).map((row) => ({
      system_identifier: row.systemIdentifier,
      timeline: row.timeline,
      from_wal: nameOf(removal, row, row.first),
      to_wal: nameOf(removal, row, row.last),
      segments: row.last - row.first + 1,
      stored_bytes: row.bytes,
      keep: row.keep,
      reason: row.reason,
    })),
    leftovers: removal.leftovers.map(({ systemIdentifier, id, bytes, reason }) => ({
      system_identifier: systemIdentifier,
      id,
      stored_bytes: bytes,
      reason,
    })),
    notes: removal.notes,
    freed_bytes: removal.freedBytes,
  };
}

function backupDocument(systemIdentifier: string, backup: PruneBackup) {
  return {
    id: backup.id,
    system_identifier: systemIdentifier,
    method: backup.method,
    kind: backup.kind,
    stopped_at: new Date(backup.stoppedAt).toISOString(),
    stored_bytes: backup.storedBytes,
  };
}

const BACKUPS: readonly Column[] = [
  { title: "BACKUP" },
  { title: "METHOD", dropAt: 1 },
  { title: "KIND", dropAt: 2 },
  { title: "ENDED (UTC)" },
  { title: "STORED", align: "right" },
  { title: "WHY", wrap: true },
];

const WAL: readonly Column[] = [
  { title: "WAL FROM" },
  { title: "TO" },
  { title: "SEGMENTS", align: "right", dropAt: 1 },
  { title: "STORED", align: "right", dropAt: 2 },
  { title: "WHY", wrap: true },
];

/** Tables of what stays and what goes, those with nothing in them left out. */
export function removalText(
  removal: Removal,
  look: TableOptions,
): string {
  const table = (title: string, columns: readonly Column[], rows: readonly string[][]) =>
    rows.length === 0 ? "" : `${title}\n${formatTable(columns, rows, look)}\n`;
  const kept = removal.keep.map(({ backup, reasons }) => backupRow(backup, reasons.join(", ")));
  const going = [
    ...removal.remove.map(({ backup, reason }) => backupRow(backup, reason)),
    ...removal.leftovers.map(({ id, bytes, reason }) => [
      ...[id, "", "", "", formatBytes(bytes), reason],
    ]),
  ];
  const wal = joinedWal(removal.wal);
  return table("to keep", BACKUPS, kept) + table("to remove", BACKUPS, going) +
    table("WAL to keep", WAL, wal.filter(({ keep }) => keep).map((row) => walRow(removal, row))) +
    table(
      "WAL to remove",
      WAL,
      wal.filter(({ keep }) => !keep).map((row) => walRow(removal, row)),
    ) +
    removal.notes.map((note) => paragraph(`note: ${note}`, look.width)).join("");
}

function backupRow(backup: PruneBackup, why: string): string[] {
  const { id, method, kind, stoppedAt, storedBytes } = backup;
  const ended = stoppedAt === 0
    ? ""
    : formatTime(new Date(stoppedAt).toISOString()).replace("Z", "");
  return [id, method, kind, ended, formatBytes(storedBytes), why];
}

function walRow(removal: Removal, row: JudgedWal): string[] {
  return [
    nameOf(removal, row, row.first),
    nameOf(removal, row, row.last),
    String(row.last - row.first + 1),
    formatBytes(row.bytes),
    row.reason,
  ];
}

/** Neighbours of one fate and reason in one row. */
function joinedWal(wal: readonly JudgedWal[]): readonly JudgedWal[] {
  const rows: JudgedWal[] = [];
  for (const piece of wal) {
    const before = rows.at(-1);
    const joins = before?.systemIdentifier === piece.systemIdentifier &&
      before.timeline === piece.timeline && before.last + 1 === piece.first &&
      before.keep === piece.keep && before.reason === piece.reason;
    if (!joins) rows.push(piece);
    else {
      rows[rows.length - 1] = { ...before, last: piece.last, bytes: before.bytes + piece.bytes };
    }
  }
  return rows;
}

function nameOf({ segmentBytes }: Removal, { systemIdentifier, timeline }: JudgedWal, at: number) {
  return segmentName(timeline, at, segmentBytes.get(systemIdentifier)!);
}

/** `2 backups and 340 WAL segments, 1.2 GiB`; undefined when nothing goes. */
export function removalSummary(
  { remove, leftovers, wal, freedBytes }: Removal,
): string | undefined {
  const segments = wal.filter(({ keep }) => !keep)
    .reduce((sum, { first, last }) => sum + last - first + 1, 0);
  const parts = [
    counted(remove.length, "backup"),
    counted(leftovers.length, "leftover folder"),
    counted(segments, "WAL segment"),
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : `${parts.join(" and ")}, ${formatBytes(freedBytes)}`;
}

function counted(count: number, what: string): string | undefined {
  return count === 0 ? undefined : `${count} ${what}${count === 1 ? "" : "s"}`;
}
