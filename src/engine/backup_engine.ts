import type { BackupManifest, BackupSlot, HeldLease } from "../catalog/catalog.ts";
import { PostgresError } from "../domain/errors.ts";
import { checkLabel } from "../domain/label.ts";
import { IncrementRefusedError, type ServerIdentity } from "../postgres/postgres.ts";
import { giveUpStaleUploads } from "./give_up_stale_uploads.ts";
import { confirmHeld, holdLease } from "./hold_lease.ts";
import { takeLogicalBackup } from "./logical/take_logical_backup.ts";
import type { BackupContent, BackupParts, BackupRun, FullBackupOptions } from "./parts.ts";
import {
  chooseParent,
  type ChosenParent,
  type ParentChoice,
} from "./physical/incremental/choose_parent.ts";
import { openIncrementalSource } from "./physical/incremental/incremental_sources.ts";
import { takePhysicalBackup } from "./physical/take_physical_backup.ts";
import { waitForBackupWal } from "./wait_for_backup_wal.ts";

type Take = (parts: BackupParts, run: BackupRun) => Promise<BackupContent>;

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
    const take = options.method === "physical" ? takePhysicalBackup : takeLogicalBackup;
    return await this.#backUp(options, { take });
  }

  /**
   * What an increment would be put on top of, or why it would be a full backup.
   *
   * @param options.source only this way of finding what changed.
   */
  async parent(
    { source, ...options }: {
      readonly maxChain: number;
      readonly source?: "stream" | "files";
      readonly signal?: AbortSignal;
    },
  ): Promise<ParentChoice> {
    const { repository, store, server } = this.#parts;
    const identity = await server.identity();
    const choice = await chooseParent({ repository, store, identity, ...options });
    if ("because" in choice) return choice;
    const { signal } = options;
    const question = { identity, parent: choice.parent, ...(source && { source }) };
    const open = await openIncrementalSource(this.#parts, {
      ...question,
      ...(signal && { signal }),
    });
    if ("because" in open) return { because: open.because };
    return { parent: choice.parent, source: open };
  }

  /**
   * Takes an increment and commits it; a full physical backup when it turns out that the server
   * cannot tell what changed.
   *
   * @param options.on as {@link BackupEngine.parent} chose it.
   * @throws {BackupctlError} as {@link BackupEngine.full}.
   */
  async incremental(
    { on, ...options }: Omit<FullBackupOptions, "method"> & { readonly on: ChosenParent },
  ): Promise<{ readonly manifest: BackupManifest; readonly because?: string }> {
    const { parent, source } = on;
    const physical = { ...options, method: "physical" } as const;
    try {
      const take = (parts: BackupParts, run: BackupRun) => source.take(parts, { ...run, parent });
      return { manifest: await this.#backUp(physical, { take, parent }) };
    } catch (error) {
      if (!(error instanceof IncrementRefusedError)) throw error;
      return { manifest: await this.full(physical), because: error.message };
    }
  }

  async #backUp(
    options: FullBackupOptions,
    { take, parent }: { readonly take: Take; readonly parent?: BackupManifest },
  ): Promise<BackupManifest> {
    const { repository, server, clock } = this.#parts;
    if (options.label !== undefined) checkLabel("the label", options.label);
    const identity = await server.identity();
    if (options.fromStandby && !identity.inRecovery) throw noStandby(server.address);
    await repository.prepare(options.signal);
    const startedAt = clock.now();
    const slot = await repository.begin(identity.systemIdentifier, {
      method: options.method,
      kind: parent ? "incremental" : "full",
      startedAt,
      ...(options.signal && { signal: options.signal }),
    });
    const held = {
      ...{ leases: this.#parts.leases, progress: this.#parts.progress, kind: "backup" as const },
      what: `backup ${slot.id}`,
      needs: {
        systemIdentifier: identity.systemIdentifier,
        backups: parent ? [slot.id, parent.id] : [slot.id],
        walFrom: null,
      },
    };
    let lease: HeldLease | undefined;
    try {
      lease = await holdLease(held);
      const content = await take(this.#parts, { slot, identity, options });
      const times = { startedAt, stoppedAt: clock.now() };
      const about = { slot, identity, options, parent, ...times };
      const manifest = this.#manifest(content, about);
      if (options.method === "physical") await waitForBackupWal(this.#parts, manifest, options);
      options.signal?.throwIfAborted();
      lease = await confirmHeld(lease, held);
      if (parent) await repository.backup(parent.id, options.signal); // it may have been removed
      await repository.commit(manifest, options.signal);
      await this.#removeScaffolding(content);
      await giveUpStaleUploads(this.#parts, options.signal);
      return manifest;
    } catch (error) {
      await repository.discard(slot);
      throw error;
    } finally {
      await lease?.release();
    }
  }

  /** Never throws: what stays of it harms nobody. */
  async #removeScaffolding({ scaffolding = [] }: BackupContent): Promise<void> {
    if (scaffolding.length > 0) await this.#parts.store.delete(scaffolding).catch(() => {});
  }

  #manifest(
    content: BackupContent,
    { slot, identity, options, parent, startedAt, stoppedAt }: {
      readonly slot: BackupSlot;
      readonly identity: ServerIdentity;
      readonly options: FullBackupOptions;
      readonly parent: BackupManifest | undefined;
      readonly startedAt: Date;
      readonly stoppedAt: Date;
    },
  ): BackupManifest {
    const { repository, codecs, toolVersion, host } = this.#parts;
    const physical = options.method === "physical";
    return {
      format: "backupctl.backup",
      version: 1,
      id: slot.id,
      cluster: repository.cluster,
      systemIdentifier: identity.systemIdentifier,
      postgresVersion: identity.version,
      method: options.method,
      kind: parent ? "incremental" : "full",
      parentId: parent?.id ?? null,
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
      ...(content.allDatabases !== undefined && { allDatabases: content.allDatabases }),
      objects: content.objects,
      rawBytes: sum(content.objects.map((object) => object.rawBytes)),
      storedBytes: sum(content.objects.map((object) => object.storedBytes)),
      codec: options.codec,
      encryption: codecs.sealing ? { scheme: "backupctl.seal/1" } : null,
      pageChecksums: physical ? identity.dataChecksums : null,
      ...(content.source && { source: content.source }),
      ...(content.damagedPages && { damagedPages: content.damagedPages }),
      ...(content.takenOver && { takenOver: content.takenOver }),
      host,
      tool: { name: "backupctl", version: toolVersion },
    };
  }
}

function noStandby(address: string): PostgresError {
  return new PostgresError(
    `the server at ${address} is no standby`,
    "name a standby, with postgres.host or PG_HOST, or leave --from-standby out",
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
