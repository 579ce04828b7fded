/**
 * The face of the engines.
 *
 * @module
 */
export {
  type Archiving,
  describeArchiver,
  readArchiving,
  readBacklog,
  type WalBacklog,
} from "./archiving.ts";
export { BackupEngine } from "./backup_engine.ts";
export type {
  BackupParts,
  FullBackupOptions,
  RestoreOptions,
  RestoreParts,
  RestorePlan,
  RestoreReport,
} from "./parts.ts";
export type { ChosenParent, NoParent, ParentChoice } from "./physical/incremental/choose_parent.ts";
export type { RecoveryPlan } from "./recovery/choose_backup.ts";
export type { RecoverySettings } from "./recovery/recovery_settings.ts";
export { viewNewestArchive } from "./recovery/plan_recovery.ts";
export type {
  RecoveryRequest,
  RecoveryTarget,
  TargetAction,
  TimelineChoice,
} from "./recovery/recovery_target.ts";
export type { NamedGap } from "./recovery/restorable_windows.ts";
export { RestoreEngine } from "./restore_engine.ts";
export { type ReportedWindow, reportWal, type WalReport } from "./wal_report.ts";
