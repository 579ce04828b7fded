import { formatLsn, type Lsn, parseLsn } from "../../../domain/lsn.ts";
import { PostgresError, RunFailedError } from "../../../domain/errors.ts";
import {
  backupManifestText,
  type DataFileList,
  type FileBackup,
  IncrementRefusedError,
} from "../../../postgres/postgres.ts";
import type { BackupContent, BackupParts, BackupRun } from "../../parts.ts";
import { awaitCheckpoint } from "../await_checkpoint.ts";
import { ObjectUpload } from "../object_upload.ts";
import { REQUIRED_FILES } from "../required_files.ts";
import { type ChunkPlan, ChunkUploads, type StoredChunk } from "./chunk_uploads.ts";
import { damagedPages, reportDamage } from "./damaged_pages.ts";
import type { ChunkEntry, FileSetup, PackedChunk } from "./file_messages.ts";
import { type KnownFiles, knownFiles } from "./file_list.ts";
import { FileThread } from "./file_thread.ts";
import { pacer } from "./pacer.ts";
import { planChunks } from "./plan_chunks.ts";
import type { ResumePlan } from "./plan_resume.ts";
import { resumableChunks } from "./resumable_chunks.ts";
import { TakeOver } from "./take_over.ts";

/**
 * Copies the whole cluster from the server's own files, read by several threads between
 * pg_backup_start and pg_backup_stop, into chunks of whole files.
 *
 * @throws {BackupctlError} when all threads have come to rest; objects that were complete before
 * are left to {@link Repository.discard}.
 */
export async function takeFilesBackup(
  parts: BackupParts,
  run: BackupRun,
): Promise<BackupContent> {
  const { options, slot, parent } = run;
  const { fileBackups, progress, server } = parts;
  if (!fileBackups) throw new PostgresError("this program cannot read the server's files");
  const databases = await server.databases();
  const known = parent && await knownFiles(parts, parent, options);
  const fast = options.fastCheckpoint ?? false;
  const begin = () =>
    fileBackups.start({
      label: options.label ?? slot.id,
      fastCheckpoint: fast,
      ...(options.signal && { signal: options.signal }),
    });
  await using backup = await awaitCheckpoint(begin, progress, { fast });
  const taken = await new FilesBackup(parts, { run, backup, known }).take();
  return {
    ...taken,
    tablespaces: backup.tablespaces,
    databases: databases.map(({ name, sizeBytes }) => ({ name, sizeBytes: sizeBytes ?? null })),
    source: "files",
  };
}

type Taken = Omit<BackupContent, "tablespaces" | "databases" | "source">;

/** One backup from its start to its last object. */
class FilesBackup {
  readonly #parts: BackupParts;
  readonly #run: BackupRun;
  readonly #backup: FileBackup;
  readonly #signal: AbortSignal;
  /** Ends after its list, of which a million names leave a lot of memory behind. */
  readonly #lister: FileThread;
  readonly #threads: readonly FileThread[];
  readonly #uploads: ChunkUploads;
  readonly #known: KnownFiles | undefined;
  /** Absent where encrypted: a sealed object can only be opened under its own name. */
  readonly #takeOver: TakeOver | undefined;

  /** @param options.known of an increment: the files of its parent. */
  constructor(
    parts: BackupParts,
    { run, backup, known }: {
      readonly run: BackupRun;
      readonly backup: FileBackup;
      readonly known: KnownFiles | undefined;
    },
  ) {
    this.#known = known;
    this.#parts = parts;
    this.#run = run;
    this.#backup = backup;
    const { codec, maxRateKb, signal } = run.options;
    const { dataDirectory, pages } = backup;
    this.#signal = AbortSignal.any([backup.lost, ...(signal ? [signal] : [])]);
    const setup = { dataDirectory, codec, pages, ...sinceOf(run) };
    this.#lister = new FileThread(setup);
    this.#threads = Array.from({ length: parts.codecs.size }, () => new FileThread(setup));
    const pace = pacer(maxRateKb, { clock: parts.clock, signal: this.#signal });
    const { store, codecs, progress } = parts;
    const { folder } = run.slot;
    const note = (text: string) => progress.note(text);
    const takeOver = store.copy && !codecs.sealing
      ? new TakeOver(store, { folder, note, signal: this.#signal })
      : undefined;
    this.#takeOver = takeOver;
    this.#uploads = new ChunkUploads(this.#threads, {
      ...{ store, folder, codecs, pace, signal: this.#signal },
      extension: codecs.codec(codec).extension,
      advance: (rawBytes) => progress.advance(rawBytes),
      ...(takeOver && { takeOver }),
    });
  }

  async take(): Promise<Taken> {
    const stop = () => this.#stop(this.#signal.reason);
    this.#signal.addEventListener("abort", stop);
    try {
      this.#signal.throwIfAborted();
      return await this.#take();
    } catch (error) {
      this.#signal.throwIfAborted(); // what follows from it says less than the reason itself
      throw error;
    } finally {
      this.#signal.removeEventListener("abort", stop);
      await this.#takeOver?.settled(); // nothing of ours may appear in the folder from here on
      this.#stop(new RunFailedError("the threads were stopped"));
    }
  }

  #stop(reason: unknown): void {
    for (const thread of [this.#lister, ...this.#threads]) thread.stop(reason);
  }

  async #take(): Promise<Taken> {
    const data = await this.#copyFiles();
    const control = await this.#backup.controlFile();
    const end = await this.#end();
    const last = await this.#copyEnd(control, end);
    const stored = [...data, ...last];
    const chunks = stored.map(({ packed }) => packed);
    const positions = { startLsn: this.#backup.startLsn, ...end };
    const damaged = damagedPages(chunks.flatMap(({ notable }) => notable), positions);
    if (damaged) {
      const { progress } = this.#parts;
      reportDamage(damaged, { progress, failOnCorruption: this.#run.options.failOnCorruption });
    }
    const objects = stored.map(({ object }) => object);
    return {
      objects: [...objects, await this.#manifest(chunks, positions), await this.#fileList(chunks)],
      timeline: end.timeline,
      startLsn: formatLsn(positions.startLsn),
      stopLsn: formatLsn(positions.stopLsn),
      ...(damaged && { damagedPages: damaged }),
      ...(this.#takeOver?.tally && { takenOver: this.#takeOver.tally }),
      scaffolding: await this.#takeOver?.settled() ?? [],
    };
  }

  /** Of an increment, the label says what it stands on, as PostgreSQL's own do. */
  async #end(): Promise<Awaited<ReturnType<FileBackup["stop"]>>> {
    const { parent, identity } = this.#run;
    const end = await this.#backup.stop();
    if (!parent) return end;
    if (parent.timeline !== end.timeline) {
      throw new IncrementRefusedError(`the server was promoted to timeline ${end.timeline}`);
    }
    if (identity.version < LABELS_INCREMENTS_SINCE) return end;
    const lines =
      `INCREMENTAL FROM LSN: ${parent.startLsn}\nINCREMENTAL FROM TLI: ${parent.timeline}\n`;
    return { ...end, label: new Uint8Array([...end.label, ...new TextEncoder().encode(lines)]) };
  }

  async #copyFiles(): Promise<readonly StoredChunk[]> {
    const { dataDirectory, versionFolder, tablespaces } = this.#backup;
    const { progress } = this.#parts;
    progress.begin("listing the files");
    const list = await this.#lister.list({
      ...{ dataDirectory, versionFolder },
      tablespaces: tablespaces.map(({ oid }) => oid),
    });
    this.#lister.stop(new RunFailedError("the files are listed"));
    if (list.skipped.length > 0) {
      progress.note(`left out, no regular files: ${shown(list.skipped)}`);
    }
    const bytes = list.files.reduce((sum, { size }) => sum + size, 0);
    if (this.#known) progress.begin("copying what changed");
    else progress.begin("copying the cluster", bytes);
    return await this.#uploads.store(this.#chunks(list, await this.#resume(list)));
  }

  async #resume({ files }: DataFileList): Promise<ResumePlan> {
    const { resume = true } = this.#run.options;
    if (!this.#takeOver || !resume) return { chunks: [], rest: files };
    return await resumableChunks(this.#parts, { run: this.#run, files, signal: this.#signal });
  }

  #chunks({ folders }: DataFileList, { chunks, rest }: ResumePlan): readonly ChunkPlan[] {
    const planned = [...chunks, ...planChunks(rest, { threads: this.#threads.length })];
    const plans = planned.map((chunk): ChunkPlan => ({
      entries: () => chunk.files.map(({ path }) => this.#entry(path)),
      files: chunk.files,
      ...("candidate" in chunk && { candidate: chunk.candidate }),
    }));
    return [{ entries: () => folders.map((path) => ({ type: "folder", path })) }, ...plans];
  }

  #entry(path: string): ChunkEntry {
    const known = this.#known?.get(path);
    return { type: "file", path, ...(known && { known }) };
  }

  /** The WAL from start to stop, and what makes a data directory of all the rest. */
  async #copyEnd(
    control: Uint8Array<ArrayBuffer>,
    { label, walFiles }: {
      readonly label: Uint8Array<ArrayBuffer>;
      readonly walFiles: readonly string[];
    },
  ): Promise<readonly StoredChunk[]> {
    const { clock, progress } = this.#parts;
    const modifiedAt = clock.now().getTime();
    const size = this.#run.identity.walSegmentBytes;
    progress.begin("copying the backup's WAL", walFiles.length * size);
    const wal = walFiles.map((name): ChunkEntry => ({
      ...{ type: "wal", path: `pg_wal/${name}` },
      size: name.endsWith(".history") ? undefined : size,
    }));
    // As PostgreSQL does: a restored server must not archive them a second time.
    const marks = walFiles.map((name): ChunkEntry => ({
      ...{ type: "content", path: `pg_wal/archive_status/${name}.done`, bytes: new Uint8Array(0) },
      ...{ modifiedAt, listed: false },
    }));
    const content = (path: string, bytes: Uint8Array<ArrayBuffer>): ChunkEntry => ({
      ...{ type: "content", path, bytes, modifiedAt, listed: true },
    });
    const last = [content("backup_label", label), content("global/pg_control", control)];
    const chunks = [...bundled(wal, size), [...marks, ...last]];
    return await this.#uploads.store(chunks.map((entries) => ({ entries: () => entries })));
  }

  async #manifest(
    chunks: readonly PackedChunk[],
    positions: { readonly startLsn: Lsn; readonly stopLsn: Lsn; readonly timeline: number },
  ) {
    const present = new Set(chunks.flatMap(({ notable }) => notable.map(({ path }) => path)));
    const missing = REQUIRED_FILES.find((path) => !present.has(path));
    if (missing) throw new PostgresError(`${missing} vanished from the data directory`);
    const { identity } = this.#run;
    const facts = {
      major: Math.trunc(identity.version / 10_000),
      systemIdentifier: identity.systemIdentifier,
      ...positions,
    };
    const entries = chunks.map(({ manifestEntries }) => manifestEntries);
    return await this.#upload("backup_manifest", backupManifestText(entries, facts));
  }

  async #fileList(chunks: readonly PackedChunk[]) {
    return await this.#upload("file_list", chunks.map(({ fileList }) => fileList));
  }

  async #upload(role: "backup_manifest" | "file_list", pieces: Iterable<Uint8Array<ArrayBuffer>>) {
    const { store, codecs } = this.#parts;
    const codec = codecs.codec(this.#run.options.codec);
    const upload = new ObjectUpload(store, {
      ...{
        folder: this.#run.slot.folder,
        key: `${role}${codec.extension}`,
        role,
        codec,
        cut: true,
      },
      signal: this.#signal,
    });
    for (const piece of pieces) await upload.write(piece);
    upload.close();
    return await upload.finished;
  }
}

/** From this version on servers refuse to start from an increment alone. */
const LABELS_INCREMENTS_SINCE = 170_000;

/** Of an increment: the position from which on pages may have changed. */
function sinceOf({ parent }: BackupRun): Pick<FileSetup, "since"> {
  return parent?.startLsn ? { since: parseLsn(parent.startLsn) } : {};
}

/** Bytes of WAL in one chunk, about. */
const WAL_CHUNK_BYTES = 128 * 1024 * 1024;

function bundled(entries: readonly ChunkEntry[], entryBytes: number): readonly ChunkEntry[][] {
  const each = Math.max(1, Math.floor(WAL_CHUNK_BYTES / entryBytes));
  const bundles: ChunkEntry[][] = [];
  for (let at = 0; at < entries.length; at += each) bundles.push(entries.slice(at, at + each));
  return bundles;
}

function shown(paths: readonly string[]): string {
  const names = paths.slice(0, 5).map((path) => JSON.stringify(path)).join(", ");
  return paths.length > 5 ? `${names} and ${paths.length - 5} more` : names;
}
