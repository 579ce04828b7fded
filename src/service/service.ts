/**
 * The face of the daemon: the scheduler, the snapshot that everything shown is made from, and the
 * listener.
 *
 * @module
 */
export { type GatherParts, gatherSnapshot } from "./gather_snapshot.ts";
export { type Handler, type Listener, type ListenerOptions, type Route } from "./listener.ts";
export { type Routes, startListener } from "./listener.ts";
export type {
  EntrySnapshot,
  FiringOutcome,
  LeaderSnapshot,
  RepositorySnapshot,
  ServerSnapshot,
  ServiceSnapshot,
  SnapshotProblem,
} from "./snapshot.ts";
export { type KeeperOptions, SnapshotKeeper, type TickListener } from "./snapshot_keeper.ts";
export { CronTimes } from "./schedule/cron_times.ts";
export { ScheduleBook } from "./schedule/schedule_book.ts";
export type { ProcessMark, RunState, ScheduleEntry } from "./schedule/schedule_entry.ts";
export { ledgerKey, type LedgerOptions, ScheduleLedger } from "./schedule/schedule_ledger.ts";
export { Scheduler } from "./schedule/scheduler.ts";
export type {
  Child,
  ChildEnd,
  ScheduleEvent,
  SchedulerOptions,
} from "./schedule/scheduler_parts.ts";
export type { MetricFamily } from "./metrics/format_metrics.ts";
export { metricsRoutes, type MetricsSource } from "./metrics/metrics_routes.ts";
export { RunCounter } from "./metrics/run_counter.ts";
