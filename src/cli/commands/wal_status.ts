import { counted } from "../../domain/counted.ts";
import { formatBytes, formatSeconds } from "../../domain/bytes.ts";
import type { Clock } from "../../domain/clock.ts";
import { NothingMatchesError } from "../../domain/errors.ts";
import { formatLsn } from "../../domain/lsn.ts";
import { describeArchiver } from "../../engine/archiving.ts";
import { reportWal, type TimelineReport, type WalReport } from "../../engine/wal_report.ts";
import { escapeControl } from "../../log/format_record.ts";
import { askArchiver, type ServerReport } from "../ask_archiver.ts";
import { formatTime } from "../backup_document.ts";
import { type Command, type Context, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { type Column, formatTable } from "../table.ts";
import { gapDocument, windowDocument, windowTable } from "../wal_windows_view.ts";
import { withArchive } from "../with_archive.ts";
import { paragraph } from "../wrap.ts";

type Line = CommandOf<"wal status">;

/** Shows what is archived, what can be restored, what is missing, and what still waits. */
export const walStatus: Command<Line> = async (line, context) => {
  return await withArchive(context, async ({ config, view }) => {
    const report = reportWal(view, { now: context.clock.now() });
    const shown = only(report, line.timeline);
    const server = await askArchiver(config, context);
    print({ ...shown, server }, context);
    return 0;
  });
};

type Report = WalReport & {
  /** A text: why the server did not say anything. */
  readonly server: ServerReport | string;
};

/** @throws {NothingMatchesError} when nothing of the timeline is known. */
function only(report: WalReport, timeline: number | undefined): WalReport {
  if (timeline === undefined) return report;
  const is = (one: { readonly timeline: number }) => one.timeline === timeline;
  const known = new Set([...report.timelines, ...report.windows].map((one) => one.timeline));
  if (!known.has(timeline)) {
    throw new NothingMatchesError(
      `nothing of timeline ${timeline} is archived`,
      `there ${known.size === 1 ? "is" : "are"}: ${[...known].sort((a, b) => a - b).join(", ")}`,
    );
  }
  return {
    ...report,
    timelines: report.timelines.filter(is),
    windows: report.windows.filter(is),
    gaps: report.gaps.filter(is),
  };
}

function print(report: Report, context: Context): void {
  printResult(context, {
    json: () => document(report),
    text: () => text(report, context),
  });
}

function document({ server, ...report }: Report): unknown {
  const known = typeof server === "string" ? undefined : server;
  return {
    schema: "backupctl.wal_status/1",
    system_identifier: report.systemIdentifier,
    wal_segment_bytes: report.segmentBytes,
    last_archived: report.lastArchived ?? null,
    last_archived_at: report.lastArchivedAt?.toISOString() ?? null,
    archiver: known
      ? {
        archive_mode: known.archiving.mode ?? null,
        by_backupctl: known.archiving.byBackupctl,
        last_archived: known.archiving.lastArchived ?? null,
        last_archived_at: known.archiving.lastArchivedAt?.toISOString() ?? null,
        last_failed: known.archiving.lastFailed ?? null,
        last_failed_at: known.archiving.lastFailedAt?.toISOString() ?? null,
        failed_count: known.archiving.failedCount,
        backlog_files: known.backlog?.files ?? null,
        backlog_bytes: known.backlog?.bytes ?? null,
        backlog_since: known.backlog?.oldestAt?.toISOString() ?? null,
      }
      : null,
    timelines: report.timelines.map((timeline) => ({
      timeline: timeline.timeline,
      parent_timeline: timeline.parent?.timeline ?? null,
      switch_lsn: timeline.parent ? formatLsn(timeline.parent.switchLsn) : null,
      first_wal: timeline.firstWal ?? null,
      last_wal: timeline.lastWal ?? null,
      last_stored_at: timeline.lastStoredAt?.toISOString() ?? null,
      segments: timeline.segments,
      stored_bytes: timeline.storedBytes,
    })),
    windows: report.windows.map(windowDocument),
    gaps: report.gaps.map(gapDocument),
    strangers: report.strangers,
    storage_bytes: report.storedBytes,
  };
}

const COLUMNS: readonly Column[] = [
  { title: "TIMELINE", align: "right" },
  { title: "FROM" },
  { title: "FIRST" },
  { title: "LAST" },
  { title: "SEGMENTS", align: "right" },
  { title: "STORED", align: "right", dropAt: 2 },
  { title: "NEWEST (UTC)", dropAt: 1 },
];

function text(report: Report, context: Context): string {
  const { clock, terminal } = context;
  const width = terminal.stdout.columns();
  const look = { color: terminal.stdout.color, unicode: terminal.unicode, width };
  const age = report.lastArchivedAt &&
    (clock.now().getTime() - report.lastArchivedAt.getTime()) / 1000;
  const newest = report.lastArchived === undefined
    ? "no WAL is archived yet"
    : `newest ${report.lastArchived}` +
      (age === undefined ? "" : `, stored ${formatSeconds(Math.max(0, age))} ago`);
  const strange = report.strangers.map((key) =>
    `warning: ${escapeControl(key)} is no WAL file of this archive\n`
  );
  const segments = report.segments === 1 ? "1 segment" : `${report.segments} segments`;
  const sums = `system ${report.systemIdentifier}: ${segments}, ` +
    `${formatBytes(report.storedBytes)} stored, ${newest}`;
  return paragraph(sums, width) + paragraph(archiverLine(report.server, clock), width) + "\n" +
    formatTable(COLUMNS, report.timelines.map(row), look) +
    `\n${windowTable(report, look)}${strange.join("")}`;
}

function archiverLine(server: ServerReport | string, clock: Clock): string {
  if (typeof server === "string") return `the server was not asked: ${escapeControl(server)}`;
  const { archiving, backlog } = server;
  const said = `the server: ${escapeControl(describeArchiver(archiving))}`;
  if (!backlog) return `${said}; what waits is shown to members of pg_monitor only`;
  if (backlog.files === 0) return `${said}; nothing waits`;
  const since = backlog.oldestAt && (clock.now().getTime() - backlog.oldestAt.getTime()) / 1000;
  const age = since === undefined ? "" : `, the oldest for ${formatSeconds(Math.max(0, since))}`;
  const verb = backlog.files === 1 ? "waits" : "wait";
  const files = `${counted(backlog.files, "file")} (${formatBytes(backlog.bytes)})`;
  return `${said}; ${files} ${verb}${age}`;
}

function row(report: TimelineReport): readonly string[] {
  const { timeline, parent, firstWal, lastWal, segments, storedBytes, lastStoredAt } = report;
  return [
    String(timeline),
    parent ? `${parent.timeline} at ${formatLsn(parent.switchLsn)}` : "",
    firstWal ?? "",
    lastWal ?? "",
    String(segments),
    formatBytes(storedBytes),
    lastStoredAt ? formatTime(lastStoredAt.toISOString()).replace("Z", "") : "",
  ];
}
