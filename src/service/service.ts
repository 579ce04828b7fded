/**
 * The face of the daemon: the scheduler, the snapshot that everything shown is made from, and the
 * listener.
 *
 * @module
 */
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
