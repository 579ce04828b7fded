import { formatSeconds } from "../domain/bytes.ts";
import { formatLsn } from "../domain/lsn.ts";
import type { NamedGap } from "../engine/engine.ts";
import type { ReportedWindow, WalReport } from "../engine/wal_report.ts";
import { formatTime } from "./backup_document.ts";
import { type Column, formatTable, type TableOptions } from "./table.ts";

/** What JSON documents say of a window that can be restored. */
export function windowDocument(window: ReportedWindow): unknown {
  const { timeline, from, to, fromLsn, toLsn, lagSeconds, open } = window;
  return {
    from: from?.toISOString() ?? null,
    to: to?.toISOString() ?? null,
    from_lsn: formatLsn(fromLsn),
    to_lsn: formatLsn(toLsn),
    timeline,
    lag_seconds: lagSeconds === undefined ? null : Math.round(lagSeconds),
    open,
    backup_ids: window.backupIds,
  };
}

/** What JSON documents say of missing segments. */
export function gapDocument({ timeline, fromWal, toWal }: NamedGap): unknown {
  return { timeline, from_wal: fromWal, to_wal: toWal };
}

const COLUMNS: readonly Column[] = [
  { title: "RESTORABLE FROM (UTC)" },
  { title: "TO" },
  { title: "TIMELINE", align: "right", dropAt: 2 },
  { title: "BACKUPS", align: "right", dropAt: 1 },
  { title: "BEHIND", align: "right" },
];

/** The windows as a table, and a line for each gap; empty when there are none. */
export function windowTable(
  { windows, gaps }: Pick<WalReport, "windows" | "gaps">,
  look: TableOptions,
): string {
  const rows = windows.map((window) => [
    timeText(fromSecond(window)),
    window.fromLsn === window.toLsn ? "the same moment" : timeText(window.to),
    String(window.timeline),
    String(window.backupIds.length),
    window.lagSeconds === undefined ? "" : formatSeconds(window.lagSeconds),
  ]);
  const lines = gaps.map(({ fromWal, toWal }) =>
    `missing: WAL ${fromWal === toWal ? fromWal : `${fromWal} to ${toWal}`}\n`
  );
  return (rows.length === 0 ? "" : formatTable(COLUMNS, rows, look)) + lines.join("");
}

/** The first whole second of a window: what is shown can be asked for. */
function fromSecond({ from, to }: ReportedWindow): Date | undefined {
  const second = from && new Date(Math.ceil(from.getTime() / 1000) * 1000);
  return second && to && second <= to ? second : from;
}

function timeText(time: Date | undefined): string {
  return time ? formatTime(time.toISOString()).replace("Z", "") : "unknown";
}
