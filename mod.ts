/**
 * backupctl as a library: the engines that back PostgreSQL up and restore it, the ports that they
 * work with, adapters for them, and the errors that they throw. Importing it does nothing.
 *
 * @example A full logical backup into a folder
 * ```ts ignore
 * import * as backupctl from "./mod.ts";
 *
 * const connection = await backupctl.resolveConnection({ host: "localhost" }, {
 *   env: Deno.env.toObject(),
 *   home: Deno.env.get("HOME"),
 * });
 * const store = new backupctl.DirectoryStore("/var/backups/postgresql");
 * await using server = new backupctl.SqlServer(connection);
 * using codecs = new backupctl.WorkerPool();
 * const engine = new backupctl.BackupEngine({
 *   repository: backupctl.openRepository(store, { cluster: "main" }),
 *   store,
 *   codecs,
 *   server,
 *   connection,
 *   baseBackups: new backupctl.StreamSource(connection),
 *   programs: new backupctl.LocalPrograms({ env: Deno.env.toObject() }),
 *   clock: backupctl.systemClock,
 *   progress: backupctl.silentProgress,
 *   toolVersion: "my-tool 1.0",
 *   host: Deno.hostname(),
 * });
 * const codec = { algorithm: "gzip", level: 6 } as const;
 * const manifest = await engine.full({ method: "logical", codec });
 * ```
 *
 * @module
 */
export * from "./src/domain/errors.ts";
export { type Clock, systemClock } from "./src/domain/clock.ts";
export { type Progress, silentProgress } from "./src/domain/progress.ts";
export type { Bytes } from "./src/domain/bytes.ts";
export type { BackupKind, BackupMethod } from "./src/domain/backup_id.ts";
export { formatLsn, type Lsn, parseLsn } from "./src/domain/lsn.ts";

export {
  type Archiving,
  BackupEngine,
  type BackupParts,
  type ChosenParent,
  describeArchiver,
  type FullBackupOptions,
  type NamedGap,
  type NoParent,
  type ParentChoice,
  readArchiving,
  readBacklog,
  type RecoveryPlan,
  type RecoveryRequest,
  type RecoverySettings,
  type RecoveryTarget,
  RestoreEngine,
  type RestoreOptions,
  type RestoreParts,
  type RestorePlan,
  type RestoreReport,
  type TargetAction,
  type TimelineChoice,
  type WalBacklog,
} from "./src/engine/engine.ts";
export type { BackupContent, BackupRun, IncrementalSource } from "./src/engine/parts.ts";
export type { EpochMicros } from "./src/engine/recovery/recovery_time.ts";

export type * from "./src/storage/storage.ts";
export type { ByteRange } from "./src/storage/byte_range.ts";
export type { Body } from "./src/storage/body.ts";
export { type DirectoryOptions, DirectoryStore } from "./src/storage/directory.ts";
export { MemoryStore } from "./src/storage/memory.ts";

export type * from "./src/postgres/postgres.ts";
export {
  type Environment,
  type ExplicitConnection,
  resolveConnection,
  type Surroundings,
} from "./src/postgres/connection.ts";
export { LocalPrograms } from "./src/postgres/client_programs.ts";
export {
  type Row as SqlRow,
  SqlServer,
  type Value as SqlValue,
} from "./src/postgres/sql_server.ts";
export { StreamSource } from "./src/postgres/replication/stream_base_backup.ts";

export type * from "./src/catalog/catalog.ts";
export type { ManifestKey, ManifestListing } from "./src/catalog/list_manifests.ts";
export type { ManifestPlace } from "./src/catalog/layout.ts";
export type { AbandonedOptions } from "./src/catalog/abandoned_chunks.ts";
export type { ChunkRecord } from "./src/catalog/chunk_record.ts";
export type { LeaseHolder, LeaseKind, LeaseRecord } from "./src/catalog/lease_record.ts";
export type { LeaseRequest } from "./src/catalog/leases.ts";
export type { AuditEvent, AuditOutcome } from "./src/catalog/audit_event.ts";
export type { IndexedBackup } from "./src/catalog/index_rows.ts";
export type { SampledUse, StorageSample } from "./src/catalog/storage_sample.ts";
export type { RunOutcome, RunRecord } from "./src/catalog/run_record.ts";
export {
  type CatalogExport,
  type IndexFigures,
  MetadataManager,
  type MetadataOptions,
} from "./src/catalog/metadata_manager.ts";
export { openRepository, type RepositoryOptions } from "./src/catalog/repository.ts";
export type { RepositoryMemory } from "./src/catalog/repository_memory.ts";
export type { Signatures } from "./src/catalog/signatures.ts";
export type {
  BackupStatement,
  RemovalStatement,
  SignedLink,
  SignedPlace,
} from "./src/catalog/signed_statement.ts";
export type { ChainAudit, ChainGaps, SignedChain } from "./src/catalog/signed_chain.ts";

export type {
  ClearCopies,
  ClearCopy,
  Codec,
  CodecPool,
  CodecSpec,
  ExpectedForm,
  StoredForm,
} from "./src/codec/codec.ts";
export { formatCodec, parseCodec } from "./src/codec/codec.ts";
export { WorkerPool } from "./src/codec/worker_pool.ts";
export { type SealingOptions, SealingPool } from "./src/codec/sealing_pool.ts";
export {
  generateIdentity,
  KeyRing,
  newDataKey,
  ObjectOpener,
  ObjectSealer,
} from "./src/crypto/crypto.ts";
export type { DataKey, KeyStep, SealHeader } from "./src/crypto/crypto.ts";
export type { HeldObject } from "./src/crypto/held_object.ts";
export type { KeyRingOptions } from "./src/crypto/key_ring.ts";
export type { PublicPart } from "./src/crypto/object_sealer.ts";
