import type { BackupManifest, UnreadableBackup } from "../../catalog/catalog.ts";
import { formatBytes, formatSeconds } from "../../domain/bytes.ts";
import { viewNewestArchive } from "../../engine/recovery/plan_recovery.ts";
import { reportWal, type WalReport } from "../../engine/wal_report.ts";
import { escapeControl } from "../../log/format_record.ts";
import { backupDocument, formatTime, ratio } from "../backup_document.ts";
import { type Command, type Context, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { openCatalog, openStore } from "../open_parts.ts";
import { loadSettings } from "../session.ts";
import { type Column, formatTable } from "../table.ts";
import { gapDocument, windowDocument, windowTable } from "../wal_windows_view.ts";

type Line = CommandOf<"status">;

/** Everything that `status` shows. */
interface Status {
  readonly cluster: string;
  readonly location: string;
  /** All of the cluster, oldest first. */
  readonly all: readonly BackupManifest[];
  /** Those that were asked for, newest last. */
  readonly shown: readonly BackupManifest[];
  readonly unreadable: readonly UnreadableBackup[];
  /** What is archived; undefined when nothing is and no physical backup either. */
  readonly wal: WalReport | undefined;
}

/** Windows first, then the backups, from the repository alone: the server may be gone. */
export const status: Command<Line> = async (line, context) => {
  const { config } = await loadSettings(context);
  const store = await openStore(config);
  try {
    const repository = await openCatalog(store, config);
    const { signal } = context;
    if (line.backupId !== undefined) {
      printBackup(await repository.backup(line.backupId, signal), context);
      return 0;
    }
    const unreadable: UnreadableBackup[] = [];
    const all = await repository.backups({
      onUnreadable: (backup) => unreadable.push(backup),
      signal,
    });
    const shown = line.last === undefined ? all : all.slice(-line.last);
    const { cluster, location } = repository;
    const view = await viewNewestArchive(store, { cluster, backups: all, signal });
    const wal = view && reportWal(view, { now: context.clock.now() });
    print({ cluster, location, all, shown, unreadable, wal }, context);
    return 0;
  } finally {
    await store.close?.();
  }
};

function print(found: Status, context: Context): void {
  printResult(context, {
    json: () => statusDocument(found),
    text: () => statusText(found, context),
  });
  for (const { key, reason } of context.options.output === "json" ? [] : found.unreadable) {
    context.terminal.stderr.write(
      `warning: ${escapeControl(key)} cannot be read: ${escapeControl(reason)}\n`,
    );
  }
}

/** Backlog, failures and runs are what only the server knows, and it is not asked. */
function statusDocument(found: Status): unknown {
  const { cluster, location, all, shown, unreadable, wal } = found;
  const newest = all.at(-1);
  return {
    schema: "backupctl.status/1",
    cluster: {
      name: cluster,
      system_identifier: newest?.systemIdentifier ?? null,
      postgres_version: newest?.postgresVersion ?? null,
    },
    repository: location,
    windows: wal?.windows.map(windowDocument) ?? [],
    gaps: wal?.gaps.map(gapDocument) ?? [],
    backups: shown.map(backupDocument),
    unreadable,
    wal: wal && wal.segments > 0
      ? {
        last_archived: wal.lastArchived ?? null,
        last_archived_at: wal.lastArchivedAt?.toISOString() ?? null,
        segments: wal.segments,
        stored_bytes: wal.storedBytes,
        backlog_files: null,
        backlog_bytes: null,
        failed_count: null,
      }
      : null,
    runs: null,
    storage_bytes: storedBytes(all) + (wal?.storedBytes ?? 0),
  };
}

const COLUMNS: readonly Column[] = [
  { title: "BACKUP" },
  { title: "METHOD" },
  { title: "KIND" },
  { title: "LABEL" },
  { title: "SYSTEM" },
  { title: "ENDED (UTC)" },
  { title: "SIZE", align: "right" },
  { title: "STORED", align: "right" },
  { title: "RATIO", align: "right" },
  { title: "TOOK", align: "right" },
  { title: "STATE" },
];

function statusText(found: Status, { terminal }: Context): string {
  const { cluster, location, all, shown, wal } = found;
  const { color } = terminal.stdout;
  const windows = wal ? windowTable(wal, { color }) : "";
  if (all.length === 0 && windows === "") {
    return `no backups of cluster ${cluster} in ${location} yet\n`;
  }
  // A new initdb, or a second server that took the first one's cluster name by mistake.
  const mixed = new Set(all.map(({ systemIdentifier }) => systemIdentifier)).size > 1;
  const rows = shown.map((manifest) => {
    const { id, method, kind, label, stopped_at, duration_seconds, state } = backupDocument(
      manifest,
    );
    return [
      id,
      method,
      kind,
      label ?? "",
      mixed ? manifest.systemIdentifier : "",
      formatTime(stopped_at).replace("Z", ""),
      formatBytes(manifest.rawBytes),
      formatBytes(manifest.storedBytes),
      ratio(manifest),
      formatSeconds(duration_seconds),
      state,
    ];
  });
  const left = all.length - shown.length;
  const more = left > 0 ? `, ${left} older not shown` : "";
  const count = `${all.length} ${all.length === 1 ? "backup" : "backups"}`;
  return `cluster ${cluster} in ${location}: ${count}, ` +
    `${formatBytes(storedBytes(all) + (wal?.storedBytes ?? 0))} stored${more}\n\n` +
    (windows === "" ? "" : `${windows}\n`) + formatTable(COLUMNS, rows, { color });
}

function storedBytes(manifests: readonly BackupManifest[]): number {
  return manifests.reduce((sum, manifest) => sum + manifest.storedBytes, 0);
}

function printBackup(manifest: BackupManifest, context: Context): void {
  printResult(context, {
    json: () => ({
      schema: "backupctl.status/1",
      cluster: {
        name: manifest.cluster,
        system_identifier: manifest.systemIdentifier,
        postgres_version: manifest.postgresVersion,
      },
      backups: [{ ...backupDocument(manifest), objects: manifest.objects }],
    }),
    text: () => backupText(manifest, context),
  });
}

function backupText(manifest: BackupManifest, { terminal }: Context): string {
  const { id, method, kind, label, codec } = manifest;
  const document = backupDocument(manifest);
  const facts: readonly (readonly [string, string | null])[] = [
    ["backup", `${id} (${method} ${kind})`],
    ["label", label],
    ["cluster", `${manifest.cluster}, system ${manifest.systemIdentifier}`],
    ["PostgreSQL", String(Math.floor(manifest.postgresVersion / 10_000))],
    ["started", formatTime(manifest.startedAt)],
    [
      "ended",
      `${formatTime(manifest.stoppedAt)}, after ${formatSeconds(document.duration_seconds)}`,
    ],
    ["WAL", manifest.startLsn && `${manifest.startLsn} to ${manifest.stopLsn}`],
    ["timeline", manifest.timeline === null ? null : String(manifest.timeline)],
    ["size", formatBytes(manifest.rawBytes)],
    [
      "stored",
      `${formatBytes(manifest.storedBytes)}, ${
        ratio(manifest)
      } by ${codec.algorithm}:${codec.level}`,
    ],
    ["databases", manifest.databases.map(({ name }) => name).join(", ") || null],
    ...manifest.tablespaces.map(({ oid, location }) =>
      ["tablespace", `${oid} at ${location}`] as const
    ),
    ...Object.entries(manifest.annotations).map((pair) => ["annotation", pair.join("=")] as const),
    ["taken on", manifest.host],
    ["taken by", `${manifest.tool.name} ${manifest.tool.version}`],
  ];
  const lines = facts.filter(([, text]) => text !== null)
    .map(([name, text]) => `${name.padEnd(12)}${escapeControl(text!)}\n`);
  const objects = manifest.objects.map((object) => [
    object.key,
    object.role,
    formatBytes(object.rawBytes),
    formatBytes(object.storedBytes),
  ]);
  const columns: readonly Column[] = [
    { title: "OBJECT" },
    { title: "ROLE" },
    { title: "SIZE", align: "right" },
    { title: "STORED", align: "right" },
  ];
  return `${lines.join("")}\n${formatTable(columns, objects, { color: terminal.stdout.color })}`;
}
