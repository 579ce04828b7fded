/**
 * The snapshot as metrics. Names follow prometheus.io/docs/practices/naming: seconds, bytes,
 * timestamps in Unix time, counters that only grow.
 *
 * @module
 */
import type { BackupManifest, RunRecord } from "../../catalog/catalog.ts";
import type { RepositorySnapshot, ServerSnapshot, ServiceSnapshot } from "../snapshot.ts";
import type { MetricFamily, Sample } from "./format_metrics.ts";

type Family = (help: string, samples: readonly (Sample | undefined)[]) => MetricFamily;

/** A family of gauges, named behind `backupctl_`. Values that are not known are left out. */
function gauge(name: string): Family {
  return (help, samples) => ({
    name: `backupctl_${name}`,
    help,
    type: "gauge",
    samples: samples.filter((sample) => sample !== undefined),
  });
}

/** A value, or nothing when it is not known. */
function sample(
  value: number | Date | boolean | undefined,
  labels: Record<string, string> = {},
): Sample | undefined {
  if (value === undefined) return undefined;
  const number = value instanceof Date ? value.getTime() / 1000 : Number(value);
  return { labels, value: number };
}

/** Every family that a snapshot gives. */
export function metricFamilies(snapshot: ServiceSnapshot): readonly MetricFamily[] {
  const { repository, server } = snapshot;
  return [
    ...serviceFamilies(snapshot),
    ...scheduleFamilies(snapshot),
    ...(repository ? [...backupFamilies(repository), ...walFamilies(repository)] : []),
    ...(server ? serverFamilies(server, snapshot) : []),
    ...runFamilies(snapshot.runs),
  ];
}

function serviceFamilies(snapshot: ServiceSnapshot): readonly MetricFamily[] {
  const { version, cluster, takenAt, tookSeconds, problems, leader, configFault } = snapshot;
  const parts = ["repository", "server", "runs"] as const;
  const answered = parts.map((part) =>
    sample(!problems.some((problem) => problem.part === part), { part })
  );
  return [
    gauge("build_info")("The version and the cluster, as labels.", [
      sample(1, { version, cluster }),
    ]),
    gauge("snapshot_timestamp_seconds")("When these values were gathered.", [sample(takenAt)]),
    gauge("snapshot_duration_seconds")("What gathering them took.", [sample(tookSeconds)]),
    gauge("part_up")("1 when the repository, the server or the catalogue answered.", answered),
    gauge("leader")("1 when this daemon runs the cluster's schedule.", [sample(leader?.here)]),
    gauge("config_reload_success")("1 unless the last reload of the configuration was refused.", [
      sample(configFault === undefined),
    ]),
  ];
}

function scheduleFamilies({ schedule }: ServiceSnapshot): readonly MetricFamily[] {
  const each = (value: (entry: typeof schedule[number]) => number | Date | boolean | undefined) =>
    schedule.map((entry) => sample(value(entry), { entry: entry.name, kind: entry.kind }));
  const ended = schedule.filter(({ last }) => last && last.outcome !== "running");
  return [
    gauge("schedule_next_run_timestamp_seconds")(
      "When the entry runs next.",
      each(({ nextRun }) => nextRun),
    ),
    gauge("schedule_last_start_timestamp_seconds")(
      "When the entry last began, or was skipped.",
      each(({ last }) => last?.startedAt),
    ),
    gauge("schedule_running")(
      "1 while the entry is being run.",
      each(({ last }) => last?.outcome === "running"),
    ),
    gauge("schedule_last_success")(
      "1 when the last run that ended succeeded, 0 when it failed, was lost or skipped.",
      ended.map(({ name, kind, last }) =>
        sample(last!.outcome === "succeeded", { entry: name, kind })
      ),
    ),
  ];
}

function backupFamilies(
  { backups, unreadable, backupStoredBytes, walStoredBytes, lastDrill, disk }: RepositorySnapshot,
): readonly MetricFamily[] {
  const newest = new Map<string, BackupManifest>();
  const counts = new Map<string, number>();
  for (const backup of backups) {
    const key = `${backup.method} ${backup.kind}`;
    newest.set(key, backup);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const last = (value: (backup: BackupManifest) => number | Date | undefined) =>
    [...newest.values()].map((backup) => sample(value(backup), labelsOf(backup)));
  return [
    gauge("backups")(
      "Backups in the repository.",
      [...newest].map(([key, backup]) => sample(counts.get(key), labelsOf(backup))),
    ),
    gauge("backups_unreadable")("Backups whose manifest cannot be read.", [
      sample(unreadable.length),
    ]),
    gauge("backup_last_success_timestamp_seconds")(
      "When the newest backup ended.",
      last(({ stoppedAt }) => new Date(stoppedAt)),
    ),
    gauge("backup_last_duration_seconds")(
      "What the newest backup took.",
      last(({ startedAt, stoppedAt }) => (Date.parse(stoppedAt) - Date.parse(startedAt)) / 1000),
    ),
    gauge("backup_last_size_bytes")(
      "The newest backup before compression.",
      last(({ rawBytes }) => rawBytes),
    ),
    gauge("backup_last_stored_bytes")(
      "The newest backup as stored.",
      last(({ storedBytes }) => storedBytes),
    ),
    gauge("backup_last_compression_ratio")(
      "Bytes of the newest backup for each stored byte.",
      last(({ rawBytes, storedBytes }) => storedBytes > 0 ? rawBytes / storedBytes : undefined),
    ),
    gauge("storage_bytes")("What the repository holds, as stored.", [
      sample(backupStoredBytes, { content: "backups" }),
      sample(walStoredBytes, { content: "wal" }),
    ]),
    gauge("drill_last_success_timestamp_seconds")("When the last successful drill ended.", [
      sample(lastDrill?.at),
    ]),
    gauge("drill_last_recovery_seconds")(
      "What it took from its beginning until the server was open.",
      [sample(lastDrill?.recoverySeconds)],
    ),
    gauge("disk_free_bytes")("Free space where the repository is a folder.", [
      sample(disk?.freeBytes),
    ]),
    gauge("disk_size_bytes")("The size of that file system.", [sample(disk?.totalBytes)]),
  ];
}

function labelsOf({ method, kind }: BackupManifest): Record<string, string> {
  return { method, kind };
}

function walFamilies(
  { windows, gaps, walSegments, lastArchivedAt }: RepositorySnapshot,
): readonly MetricFamily[] {
  const newest = new Map(windows.map((window) => [window.timeline, window]));
  const each = (moment: "from" | "to") =>
    [...newest.values()].map((window) =>
      sample(window[moment], { timeline: String(window.timeline) })
    );
  return [
    gauge("windows")("Spans of time that can be restored.", [sample(windows.length)]),
    gauge("window_begin_timestamp_seconds")(
      "The first moment of each timeline's newest span that can be restored.",
      each("from"),
    ),
    gauge("window_end_timestamp_seconds")(
      "The last moment of each timeline's newest span that can be restored.",
      each("to"),
    ),
    gauge("wal_gaps")("Rows of missing segments between archived ones.", [sample(gaps.length)]),
    gauge("wal_segments")("Archived segments.", [sample(walSegments)]),
    gauge("wal_last_archived_timestamp_seconds")("When the newest segment was stored.", [
      sample(lastArchivedAt),
    ]),
  ];
}

function serverFamilies(
  { archiving, backlog }: ServerSnapshot,
  { takenAt }: ServiceSnapshot,
): readonly MetricFamily[] {
  const waits = backlog?.oldestAt && (takenAt.getTime() - backlog.oldestAt.getTime()) / 1000;
  return [
    gauge("wal_archiving")("1 when the server archives its WAL.", [
      sample(archiving.mode === undefined ? undefined : archiving.mode !== "off"),
    ]),
    gauge("wal_backlog_files")("Files that wait to be archived.", [sample(backlog?.files)]),
    gauge("wal_backlog_bytes")("What they hold.", [sample(backlog?.bytes)]),
    gauge("wal_lag_seconds")("How long the oldest of them has waited.", [
      sample(backlog === undefined ? undefined : Math.max(0, waits ?? 0)),
    ]),
    {
      name: "backupctl_archiver_failures",
      help: "Failed attempts to archive, of pg_stat_archiver.",
      type: "counter",
      samples: [{ value: archiving.failedCount }],
    },
  ];
}

/** The runs of the catalogue, the newest first. */
function runFamilies(runs: readonly RunRecord[]): readonly MetricFamily[] {
  const newest = new Map<string, RunRecord>();
  for (const run of runs.toReversed()) newest.set(`${run.operation} ${run.outcome}`, run);
  const each = (value: (run: RunRecord) => number | Date) =>
    [...newest.values()].map((run) =>
      sample(value(run), { operation: run.operation, outcome: run.outcome })
    );
  return [
    gauge("run_last_timestamp_seconds")(
      "When a run last ended so.",
      each(({ finishedAt }) => new Date(finishedAt)),
    ),
    gauge("run_last_duration_seconds")(
      "What the last run that ended so took.",
      each(({ durationSeconds }) => durationSeconds),
    ),
  ];
}
