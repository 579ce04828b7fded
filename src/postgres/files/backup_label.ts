import { PostgresError } from "../../domain/errors.ts";
import { type Lsn, parseLsn } from "../../domain/lsn.ts";

/** What a backup_label says that a backup must know. */
export interface BackupLabel {
  /** Where recovery begins. */
  readonly startLsn: Lsn;
  readonly timeline: number;
}

/**
 * Reads the text that ends a backup.
 *
 * @throws {PostgresError} when it says no start or no timeline.
 */
export function parseBackupLabel(text: string): BackupLabel {
  const start = /^START WAL LOCATION: ([0-9A-F]+\/[0-9A-F]+) /m.exec(text)?.[1];
  const timeline = /^START TIMELINE: (\d+)$/m.exec(text)?.[1];
  if (start !== undefined && timeline !== undefined) {
    return { startLsn: parseLsn(start), timeline: Number(timeline) };
  }
  throw new PostgresError(`the server's backup_label is not known: ${JSON.stringify(text)}`);
}
