import { formatBytes, formatSeconds } from "../../domain/bytes.ts";
import { NothingMatchesError } from "../../domain/errors.ts";
import { formatLsn } from "../../domain/lsn.ts";
import { viewNewestArchive } from "../../engine/recovery/plan_recovery.ts";
import { reportWal, type TimelineReport, type WalReport } from "../../engine/wal_report.ts";
import { formatTime } from "../backup_document.ts";
import { type Command, type Context, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { openCatalog, openStore } from "../open_parts.ts";
import { loadSettings } from "../session.ts";
import { type Column, formatTable } from "../table.ts";
import { gapDocument, windowDocument, windowTable } from "../wal_windows_view.ts";

type Line = CommandOf<"wal status">;

/** Shows what is archived, what can be restored and what is missing; the server is not asked. */
export const walStatus: Command<Line> = async (line, context) => {
  const { config } = await loadSettings(context);
  const store = await openStore(config);
  try {
    const { signal } = context;
    const repository = await openCatalog(store, config);
    const backups = await repository.backups({ signal });
    const view = await viewNewestArchive(store, { cluster: config.cluster, backups, signal });
    if (!view) {
      throw new NothingMatchesError(
        `cluster ${config.cluster} has neither a physical backup nor archived WAL in ` +
          repository.location,
        'set archive_command = "backupctl wal-push %p", then take "backup full --method physical"',
      );
    }
    print(only(reportWal(view, { now: context.clock.now() }), line.timeline), context);
    return 0;
  } finally {
    await store.close?.();
  }
};

function only(report: WalReport, timeline: number | undefined): WalReport {
  if (timeline === undefined) return report;
  const is = (one: { readonly timeline: number }) => one.timeline === timeline;
  return {
    ...report,
    timelines: report.timelines.filter(is),
    windows: report.windows.filter(is),
    gaps: report.gaps.filter(is),
  };
}

function print(report: WalReport, context: Context): void {
  printResult(context, {
    json: () => document(report),
    text: () => text(report, context),
  });
}

function document(report: WalReport): unknown {
  return {
    schema: "backupctl.wal_status/1",
    system_identifier: report.systemIdentifier,
    wal_segment_bytes: report.segmentBytes,
    last_archived: report.lastArchived ?? null,
    last_archived_at: report.lastArchivedAt?.toISOString() ?? null,
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
  { title: "STORED", align: "right" },
  { title: "NEWEST (UTC)" },
];

function text(report: WalReport, { clock, terminal }: Context): string {
  const { color } = terminal.stdout;
  const age = report.lastArchivedAt &&
    (clock.now().getTime() - report.lastArchivedAt.getTime()) / 1000;
  const newest = report.lastArchived === undefined
    ? "no WAL is archived yet"
    : `newest ${report.lastArchived}` +
      (age === undefined ? "" : `, stored ${formatSeconds(Math.max(0, age))} ago`);
  const strange = report.strangers.map((key) => `warning: ${key} is no WAL file of this archive\n`);
  return `system ${report.systemIdentifier}: ${report.segments} segments, ` +
    `${formatBytes(report.storedBytes)} stored, ${newest}\n\n` +
    formatTable(COLUMNS, report.timelines.map(row), { color }) +
    `\n${windowTable(report, { color })}${strange.join("")}`;
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
