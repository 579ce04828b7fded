/** Takes and restores physical backups without the rest of the program. */
import type { BackupManifest } from "../../src/catalog/catalog.ts";
import type { CodecPool, CodecSpec } from "../../src/codec/codec.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { silentProgress } from "../../src/domain/progress.ts";
import type { BackupParts, RestoreOptions, RestoreParts } from "../../src/engine/parts.ts";
import { restorePhysical } from "../../src/engine/physical/restore_physical.ts";
import { takePhysicalBackup } from "../../src/engine/physical/take_physical_backup.ts";
import type { BaseBackupSource } from "../../src/postgres/postgres.ts";
import type { ObjectStore } from "../../src/storage/storage.ts";
import { samplePhysical } from "./manifests.ts";

/** Where all objects of these backups lie. */
export const BACKUP_FOLDER = "main/7345678901234567890/backups/20261122T020000Z-F/";

const ZSTD: CodecSpec = { algorithm: "zstd", level: 1 };

/** What a backup needs; ports that it must not touch throw. */
export interface Rig {
  readonly store: ObjectStore;
  readonly codecs: CodecPool;
}

/** Takes a backup and describes it, without committing it. */
export async function takeBackup(
  { store, codecs }: Rig,
  source: BaseBackupSource,
  { codec = ZSTD, signal }: { readonly codec?: CodecSpec; readonly signal?: AbortSignal } = {},
): Promise<BackupManifest> {
  const backup = samplePhysical();
  const parts = {
    store,
    codecs,
    baseBackups: source,
    clock: systemClock,
    progress: silentProgress,
    server: { databases: () => Promise.resolve([{ name: "app", sizeBytes: undefined }]) },
  } as unknown as BackupParts;
  const { takenOver: _none, ...content } = await takePhysicalBackup(parts, {
    slot: { id: backup.id, folder: BACKUP_FOLDER },
    identity: {} as never,
    options: { method: "physical", codec, fastCheckpoint: true, ...(signal && { signal }) },
  });
  const total = (field: "rawBytes" | "storedBytes") =>
    content.objects.reduce((sum, object) => sum + object[field], 0);
  return {
    ...backup,
    ...content,
    codec,
    rawBytes: total("rawBytes"),
    storedBytes: total("storedBytes"),
  };
}

/** Restores what {@link takeBackup} described. */
export async function restoreBackup(
  { store, codecs }: Rig,
  backup: BackupManifest,
  options: Omit<RestoreOptions, "jobs"> & { readonly jobs?: number },
) {
  const parts = {
    store,
    codecs,
    progress: silentProgress,
    repository: { folder: () => BACKUP_FOLDER },
  } as unknown as RestoreParts;
  return await restorePhysical(parts, { backup, options: { jobs: 2, ...options } });
}
