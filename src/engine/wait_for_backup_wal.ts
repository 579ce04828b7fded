import type { BackupManifest } from "../catalog/catalog.ts";
import { parseLsn } from "../domain/lsn.ts";
import { archivesHere, describeArchiver, readArchiving } from "./archiving.ts";
import type { BackupParts, FullBackupOptions } from "./parts.ts";
import { waitForWal } from "./recovery/wait_for_wal.ts";

/**
 * Before a physical backup is committed: waits until its WAL has arrived in the repository, when the
 * server archives there. A standby is waited for only when it is said to be one: its primary must
 * archive, and nothing but the primary's own work ends a segment.
 *
 * @throws {RunFailedError} when the time is up, naming what is missing.
 */
export async function waitForBackupWal(
  { store, repository, server, clock, progress }: BackupParts,
  { systemIdentifier, timeline, startLsn, stopLsn, walSegmentBytes }: BackupManifest,
  { waitWal, fromStandby = false, signal }: FullBackupOptions,
): Promise<void> {
  if (waitWal === undefined) return;
  const place = { cluster: repository.cluster, systemIdentifier };
  const reading = signal ? { signal } : {};
  const archiving = await readArchiving(server);
  const { inRecovery } = await server.identity();
  const isArchived = fromStandby ||
    !inRecovery && await archivesHere(store, archiving, { place, ...reading });
  if (!isArchived) {
    return progress.note(
      "the WAL behind this backup is not archived here: it can be restored to its own end only",
    );
  }
  progress.begin("waiting for the backup's WAL in the repository");
  await waitForWal(store, {
    ...{ place, timeline: timeline!, segmentBytes: walSegmentBytes!, timeout: waitWal, clock },
    ...{ startLsn: parseLsn(startLsn!), stopLsn: parseLsn(stopLsn!) },
    archiver: async () =>
      fromStandby
        ? "the primary archives it when the segment is full: SELECT pg_switch_wal() there ends it now"
        : describeArchiver(await readArchiving(server)),
    ...reading,
  });
}
