import type { BackupManifest, BackupSlot } from "../catalog/catalog.ts";
import { checkLabel } from "../domain/label.ts";
import type { ServerIdentity } from "../postgres/postgres.ts";
import { giveUpStaleUploads } from "./give_up_stale_uploads.ts";
import { takeLogicalBackup } from "./logical/take_logical_backup.ts";
import type { BackupContent, BackupParts, FullBackupOptions } from "./parts.ts";
import { takePhysicalBackup } from "./physical/take_physical_backup.ts";
import { waitForBackupWal } from "./wait_for_backup_wal.ts";

/** Takes backups: the objects first, the manifest last; without the manifest there is no backup. */
export class BackupEngine {
  readonly #parts: BackupParts;

  /** Contacts nobody yet. */
  constructor(parts: BackupParts) {
    this.#parts = parts;
  }

  /**
   * Takes a full backup and commits it.
   *
   * @returns the manifest as it stands in the repository.
   * @throws {BackupctlError} after everything that was stored for it has been removed.
   */
  async full(options: FullBackupOptions): Promise<BackupManifest> {
    const { repository, server, clock } = this.#parts;
    if (options.label !== undefined) checkLabel("the label", options.label);
    const identity = await server.identity();
    await repository.prepare(options.signal);
    const startedAt = clock.now();
    const slot = await repository.begin(identity.systemIdentifier, {
      method: options.method,
      kind: "full",
      startedAt,
      ...(options.signal && { signal: options.signal }),
    });
    try {
      const take = options.method === "physical" ? takePhysicalBackup : takeLogicalBackup;
      const content = await take(this.#parts, { slot, identity, options });
      const times = { startedAt, stoppedAt: clock.now() };
      const manifest = this.#manifest(content, { slot, identity, options, ...times });
      if (options.method === "physical") await waitForBackupWal(this.#parts, manifest, options);
      options.signal?.throwIfAborted();
      await repository.commit(manifest, options.signal);
      await giveUpStaleUploads(this.#parts, options.signal);
      return manifest;
    } catch (error) {
      await repository.discard(slot);
      throw error;
    }
  }

  #manifest(
    content: BackupContent,
    { slot, identity, options, startedAt, stoppedAt }: {
      readonly slot: BackupSlot;
      readonly identity: ServerIdentity;
      readonly options: FullBackupOptions;
      readonly startedAt: Date;
      readonly stoppedAt: Date;
    },
  ): BackupManifest {
    const { repository, toolVersion, host } = this.#parts;
    const physical = options.method === "physical";
    return {
      format: "backupctl.backup",
      version: 1,
      id: slot.id,
      cluster: repository.cluster,
      systemIdentifier: identity.systemIdentifier,
      postgresVersion: identity.version,
      method: options.method,
      kind: "full",
      parentId: null,
      label: options.label ?? null,
      annotations: options.annotations ?? {},
      timeline: content.timeline,
      startLsn: content.startLsn,
      stopLsn: content.stopLsn,
      walSegmentBytes: physical ? identity.walSegmentBytes : null,
      startedAt: startedAt.toISOString(),
      stoppedAt: stoppedAt.toISOString(),
      tablespaces: content.tablespaces,
      databases: content.databases,
      objects: content.objects,
      rawBytes: sum(content.objects.map((object) => object.rawBytes)),
      storedBytes: sum(content.objects.map((object) => object.storedBytes)),
      codec: options.codec,
      encryption: null,
      pageChecksums: physical ? identity.dataChecksums : null,
      host,
      tool: { name: "backupctl", version: toolVersion },
    };
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
