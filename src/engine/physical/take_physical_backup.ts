import type { ManifestObject } from "../../catalog/catalog.ts";
import type { CodecSpec } from "../../codec/codec.ts";
import { formatLsn } from "../../domain/lsn.ts";
import { PostgresError, RunFailedError } from "../../domain/errors.ts";
import {
  type BaseBackup,
  type BaseBackupEvent,
  IncrementRefusedError,
} from "../../postgres/postgres.ts";
import type { BackupContent, BackupParts, BackupRun } from "../parts.ts";
import { BackupUploads } from "./backup_uploads.ts";
import { ChunkCutter } from "./chunk_cutter.ts";
import { type FileTally, ManifestTally } from "./file_tally.ts";
import { reportDamage, serverDamagedPages } from "./files/damaged_pages.ts";
import { awaitCheckpoint } from "./await_checkpoint.ts";
import { takeFilesBackup } from "./files/take_files_backup.ts";
import { SEGMENT_PAGES } from "./incremental/incremental_header.ts";
import { storedManifest } from "./incremental/stored_manifest.ts";
import { StoredArchive } from "./stored_archive.ts";
import { TarReader } from "./tar_reader.ts";

/**
 * Copies the whole cluster into chunks of whole files: over the replication protocol, unless
 * `options.source` says to read the server's files.
 *
 * @throws {BackupctlError} with every upload given up; objects that were complete before are left
 * to {@link Repository.discard}.
 */
export async function takePhysicalBackup(
  parts: BackupParts,
  run: BackupRun,
): Promise<BackupContent> {
  if (run.options.source === "files" && !run.parent) return await takeFilesBackup(parts, run);
  return await takeStreamBackup(parts, run);
}

async function takeStreamBackup(
  parts: BackupParts,
  { slot, options, parent }: BackupRun,
): Promise<BackupContent> {
  const { progress, server, baseBackups } = parts;
  const databases = await server.databases();
  const fast = options.fastCheckpoint ?? false;
  const begin = () =>
    baseBackups.start({
      label: options.label ?? slot.id,
      fastCheckpoint: fast,
      includeWal: true,
      ...(options.maxRateKb !== undefined && { maxRateKb: options.maxRateKb }),
      ...(parent && { parentManifest: storedManifest(parts, parent, options) }),
      ...(options.signal && { signal: options.signal }),
    });
  await using backup = await awaitCheckpoint(begin, progress, { fast });
  if (parent && parent.timeline !== backup.timeline) {
    throw new IncrementRefusedError(`the server was promoted to timeline ${backup.timeline}`);
  }
  // Of an increment nobody knows the length before: the server's estimate is the cluster's.
  if (parent) progress.begin("copying what changed");
  else progress.begin("copying the cluster", backup.estimatedBytes);
  const objects = await storeBackup(parts, backup, {
    folder: slot.folder,
    codec: options.codec,
    ...(options.signal && { signal: options.signal }),
  });
  return {
    objects,
    ...positions(backup),
    ...damageOf(backup, { progress, failOnCorruption: options.failOnCorruption }),
    tablespaces: backup.tablespaces,
    databases: databases.map(({ name, sizeBytes }) => ({ name, sizeBytes: sizeBytes ?? null })),
    source: "stream",
  };
}

function positions(
  backup: BaseBackup,
): Pick<BackupContent, "timeline" | "startLsn" | "stopLsn"> {
  const { stopLsn, timeline } = backup.stop();
  if (timeline !== backup.timeline) {
    throw new RunFailedError(
      `the server changed from timeline ${backup.timeline} to ${timeline} during the backup`,
      "it was promoted meanwhile; take the backup again",
    );
  }
  return { timeline, startLsn: formatLsn(backup.startLsn), stopLsn: formatLsn(stopLsn) };
}

/** @throws {IntegrityError} when damage shall fail the backup. */
function damageOf(
  backup: BaseBackup,
  how: Parameters<typeof reportDamage>[1],
): Pick<BackupContent, "damagedPages"> {
  const { damage } = backup.stop();
  if (!damage) return {};
  const damagedPages = serverDamagedPages(damage, SEGMENT_PAGES);
  reportDamage(damagedPages, how);
  return { damagedPages };
}

interface StoreOptions {
  readonly folder: string;
  readonly codec: CodecSpec;
  readonly signal?: AbortSignal;
}

async function storeBackup(
  { store, codecs, progress }: BackupParts,
  backup: BaseBackup,
  { codec, ...where }: StoreOptions,
): Promise<BackupContent["objects"]> {
  const uploads = new BackupUploads(store, { ...where, codec: codecs.codec(codec) });
  const recorder = new BackupRecorder(backup, uploads);
  try {
    for await (const event of backup.events()) {
      where.signal?.throwIfAborted();
      await recorder.take(event);
      if (event.type === "data") progress.advance(event.bytes.length);
    }
    await recorder.finish();
    return recorder.described(await uploads.finish());
  } catch (error) {
    await uploads.abort(error);
    throw error;
  }
}

/** Turns the events of a base backup into blocks for the uploads. */
class BackupRecorder {
  readonly #uploads: BackupUploads;
  readonly #cutter = new ChunkCutter();
  readonly #archive: StoredArchive;
  readonly #awaited: Set<number | undefined>;
  readonly #manifest = new ManifestTally();
  #reader: TarReader | undefined;

  constructor(backup: BaseBackup, uploads: BackupUploads) {
    const oids = backup.tablespaces.map(({ oid }) => oid);
    this.#uploads = uploads;
    this.#archive = new StoredArchive(this.#cutter, oids);
    this.#awaited = new Set([undefined, ...oids]);
  }

  async take(event: BaseBackupEvent): Promise<void> {
    if (event.type === "manifest") {
      this.#manifest.push(event.bytes);
      return await this.#uploads.manifest(event.bytes);
    }
    if (event.type === "archive") return this.#startArchive(event.tablespace?.oid);
    if (!this.#reader) throw new PostgresError("the server sent data before any archive");
    this.#reader.push(event.bytes);
    await this.#store();
  }

  async finish(): Promise<void> {
    this.#reader?.finish();
    this.#archive.finish();
    if (this.#awaited.size > 0) {
      throw new PostgresError("the server did not send every tablespace", "read the server's log");
    }
    if (!this.#uploads.hasManifest) {
      throw new PostgresError("the server sent no backup_manifest");
    }
    this.#compare(this.#archive.tally, this.#manifest.tally);
    this.#cutter.endChunk();
    await this.#store();
  }

  /** The objects, each chunk with the number of its files when they are in the manifest's order. */
  described(objects: readonly ManifestObject[]): readonly ManifestObject[] {
    if (!this.#archive.tally.hasOrderOf(this.#manifest.tally)) return objects;
    let chunk = 0;
    return objects.map((object) => {
      if (object.role !== "chunk") return object;
      chunk += 1;
      return { ...object, files: this.#archive.filesOf.get(chunk) ?? 0 };
    });
  }

  /** Nothing may be lost between the server and the chunks. */
  #compare(arrived: FileTally, listed: FileTally): void {
    if (listed.equals(arrived)) return;
    throw new RunFailedError(
      `${listed.files} files of ${listed.bytes} bytes are in PostgreSQL's manifest, ` +
        `${arrived.files} of ${arrived.bytes} arrived`,
      "take the backup again; pg_basebackup with pg_verifybackup tells whether the server is at fault",
    );
  }

  #startArchive(oid: number | undefined): void {
    this.#reader?.finish();
    if (!this.#awaited.delete(oid)) {
      throw new PostgresError(`the server sent the archive of tablespace ${oid} unasked`);
    }
    this.#archive.archive(oid);
    this.#reader = new TarReader(this.#archive);
  }

  async #store(): Promise<void> {
    for (const block of this.#cutter.take()) await this.#uploads.chunk(block);
  }
}
