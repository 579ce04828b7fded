import type { UnfinishedBackup } from "../../catalog/catalog.ts";
import { type IndexFigures, RECENT_DAYS } from "../../catalog/metadata_manager.ts";
import type { RunRecord } from "../../catalog/run_record.ts";
import { startOfBackup } from "../../domain/backup_id.ts";
import type { StoredLease } from "../../catalog/lease_list.ts";
import { backupDocument } from "../backup_document.ts";
import { gapDocument, windowDocument } from "../wal_windows_view.ts";
import type { StatusFound } from "./collect_status.ts";

/** `backupctl.status/1`. What only the server or the index knows is null when they did not answer. */
export function statusDocument(found: StatusFound, last: number | undefined): unknown {
  const { cluster, location, backups, archive, figures, now } = found;
  const newest = backups.at(-1);
  const known = typeof figures === "object" ? figures : undefined;
  return {
    schema: "backupctl.status/1",
    cluster: {
      name: cluster,
      system_identifier: newest?.systemIdentifier ?? null,
      postgres_version: newest?.postgresVersion ?? null,
    },
    repository: location,
    windows: archive?.report.windows.map(windowDocument) ?? [],
    gaps: archive?.report.gaps.map(gapDocument) ?? [],
    backups: newestOf(backups, last).map((backup) => backupDocument(backup, found.factsOf(backup))),
    unfinished: found.unfinished.map((backup) => unfinishedDocument(backup, now)),
    unreadable: found.unreadable,
    foreign: found.foreign,
    wal: walDocument(found),
    runs: known ? runsDocument(known) : null,
    storage: found.storage.map(({ kind, count, rawBytes, storedBytes }) => ({
      ...{ kind, count },
      size_bytes: rawBytes ?? null,
      stored_bytes: storedBytes,
    })),
    storage_history: known?.storage.map(({ at, uses }) => ({
      at,
      stored_bytes: uses.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
      kinds: Object.fromEntries(uses.map(({ kind, storedBytes }) => [kind, storedBytes])),
    })) ?? [],
    leases: found.leases.map(leaseDocument),
    storage_bytes: storedBytes(found),
  };
}

/** Everything that the repository holds of the cluster. */
export function storedBytes({ storage }: Pick<StatusFound, "storage">): number {
  return storage.reduce((sum, use) => sum + use.storedBytes, 0);
}

/** The newest `last` of a list that is the oldest first; all of them when it is undefined. */
export function newestOf<T>(all: readonly T[], last: number | undefined): readonly T[] {
  return last === undefined ? all : all.slice(-last);
}

function walDocument({ archive, server }: StatusFound): unknown {
  const report = archive?.report;
  if (!report || report.segments === 0) return null;
  const known = typeof server === "object" ? server : undefined;
  return {
    last_archived: report.lastArchived ?? null,
    last_archived_at: report.lastArchivedAt?.toISOString() ?? null,
    segments: report.segments,
    stored_bytes: report.storedBytes,
    backlog_files: known?.backlog?.files ?? null,
    backlog_bytes: known?.backlog?.bytes ?? null,
    failed_count: known?.archiving.failedCount ?? null,
  };
}

function unfinishedDocument(backup: UnfinishedBackup, now: Date): unknown {
  const { id, systemIdentifier, objects, storedBytes, lastStoredAt } = backup;
  const startedAt = startOfBackup(id);
  return {
    id,
    system_identifier: systemIdentifier,
    state: "incomplete",
    started_at: startedAt.toISOString(),
    age_seconds: Math.max(0, Math.round((now.getTime() - startedAt.getTime()) / 1000)),
    objects,
    stored_bytes: storedBytes,
    last_stored_at: lastStoredAt?.toISOString() ?? null,
  };
}

function runsDocument({ all, recent, last }: IndexFigures): unknown {
  const ended = recent.succeeded + recent.failed;
  return {
    ...all,
    recent: { days: RECENT_DAYS, ...recent },
    success_rate: ended === 0 ? null : recent.succeeded / ended,
    last: last ? runDocument(last) : null,
  };
}

function runDocument(run: RunRecord): unknown {
  return {
    operation: run.operation,
    outcome: run.outcome,
    finished_at: run.finishedAt,
    duration_seconds: run.durationSeconds,
    backup_id: run.backupId,
    error_code: run.error?.code ?? null,
  };
}

function leaseDocument({ kind, holder, takenAt, storedAt, durationMs }: StoredLease): unknown {
  return {
    kind,
    ...{ what: holder.what, host: holder.host, pid: holder.pid },
    taken_at: takenAt,
    expires_at: new Date(storedAt.getTime() + durationMs).toISOString(),
  };
}
