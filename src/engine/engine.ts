/**
 * The face of the engines.
 *
 * @module
 */
export { BackupEngine } from "./backup_engine.ts";
export type {
  BackupParts,
  FullBackupOptions,
  RestoreOptions,
  RestoreParts,
  RestorePlan,
  RestoreReport,
} from "./parts.ts";
export { RestoreEngine } from "./restore_engine.ts";
