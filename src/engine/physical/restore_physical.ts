import * as fs from "node:fs";
import type { BackupManifest } from "../../catalog/catalog.ts";
import { systemClock } from "../../domain/clock.ts";
import { DestinationError, IntegrityError } from "../../domain/errors.ts";
import { mapLimited } from "../../domain/map_limited.ts";
import { writeNewFile } from "../destination/sync_folders.ts";
import { OTHER_BACKUP_HINT } from "../naming_object.ts";
import type { RestoreOptions, RestoreParts, RestorePlan, RestoreReport } from "../parts.ts";
import { codeSettings, describeCodeSettings } from "../recovery/code_settings.ts";
import { writeRecoverySettings } from "../recovery/write_recovery_settings.ts";
import { withLeftovers } from "../with_leftovers.ts";
import { keepEqualFiles } from "./delta/keep_files.ts";
import { writeMarker } from "./delta/restore_marker.ts";
import { makeStandardFolders } from "./delta/standard_folders.ts";
import { DestinationFolders } from "./destination_folders.ts";
import { changedFiles, mergedManifest } from "./incremental/merge_report.ts";
import {
  fetchedBytes,
  type RestoreStep,
  type RestoreSteps,
  stepsOf,
} from "./incremental/restore_steps.ts";
import { storedManifest } from "./incremental/stored_manifest.ts";
import {
  type PreparedRestore,
  preparePhysicalRestore,
  type RestoreRun,
} from "./plan_physical_restore.ts";
import { REQUIRED_FILES } from "./required_files.ts";
import { restoreOwner } from "./restore_owner.ts";
import { unpackChunks } from "./unpack_chunks.ts";
import type { UnpackedChunk } from "./unpack_messages.ts";
import { UnpackThreads } from "./unpack_thread.ts";

/** How many objects are asked for at once before the restore begins. */
const HEADS_AT_ONCE = 8;

/**
 * Restores a physical backup into an empty or absent folder, with `delta` also over what is there.
 * Until everything is verified and on disk there is no global/pg_control in it, without which no
 * server starts.
 *
 * @throws {DestinationError} before the first byte when a folder cannot take it.
 * @throws {IntegrityError} naming the object that is damaged or missing.
 */
export async function restorePhysical(
  parts: RestoreParts,
  run: RestoreRun,
): Promise<RestoreReport> {
  const started = systemClock.monotonic();
  const prepared = await preparePhysicalRestore(parts, run);
  const { plan, steps, listed } = prepared;
  const [obstacle] = plan.obstacles;
  if (obstacle !== undefined) throw new DestinationError(plan.obstacles.join("; "), remedy(plan));
  await checkObjects(parts, steps, run.options);
  const owner = await restoreOwner(plan.destination, { uid: Deno.uid() });
  const target = new DestinationFolders(plan.destination, { ...plan, owner, delta: !!listed });
  const begin = async () => {
    await target.prepare();
    return await writeMarker(target.folders.destination, run.backup, plan.tablespaces);
  };
  using _alone = await begin().catch(async (error) => {
    await target.abandon();
    throw error;
  });
  const done = await restoreInto(target, parts, { run, prepared }).catch(async (error) => {
    await target.abandon();
    const left = leftovers(target.roots);
    parts.progress.note(left);
    const { signal } = run.options;
    throw withLeftovers(signal?.aborted ? signal.reason : error, left);
  });
  return {
    backup: run.backup,
    destination: plan.destination,
    ...done,
    durationSeconds: (systemClock.monotonic() - started) / 1000,
  };
}

function remedy({ tablespaces }: RestorePlan): string {
  const folder =
    "choose a folder that is absent or empty, with room enough; --delta goes on in a " +
    "data directory of the same system while its server is stopped";
  return tablespaces.length === 0 ? folder : `${folder}; --tablespace-map moves tablespaces`;
}

/** What people have to remove, in one sentence. */
function leftovers(folders: readonly string[]): string {
  const hold = folders.length > 1 ? "hold" : "holds";
  return `${folders.join(" and ")} ${hold} an unfinished restore: remove it before the next try, ` +
    "or go on with --delta";
}

/** Every object must be there before the first byte is written. */
async function checkObjects(
  { store, repository }: RestoreParts,
  { steps }: RestoreSteps,
  { signal }: RestoreOptions,
): Promise<void> {
  const objects = steps.flatMap(({ backup, chunks }) => [
    ...chunks.map((object) => ({ backup, object })),
    ...backup.objects.filter(({ role }) => role !== "chunk").map((object) => ({ backup, object })),
  ]);
  await mapLimited(objects, HEADS_AT_ONCE, async ({ backup, object: { key, storedBytes } }) => {
    const whole = `${repository.folder(backup)}${key}`;
    const info = await store.head(whole, signal ? { signal } : {});
    if (!info) throw missing(whole, backup);
    if (info.size === storedBytes) return;
    throw new IntegrityError(
      `object ${whole} has ${info.size} bytes, the backup says ${storedBytes}`,
      OTHER_BACKUP_HINT,
    );
  });
}

function missing(key: string, backup: BackupManifest): IntegrityError {
  return new IntegrityError(
    `object ${key} of backup ${backup.id} is missing`,
    OTHER_BACKUP_HINT,
  );
}

/** From the oldest backup to the newest: each writes into what those before have left. */
async function restoreInto(
  target: DestinationFolders,
  parts: RestoreParts,
  { run: { backup, options }, prepared: { listed, ...prepared } }: {
    readonly run: RestoreRun;
    readonly prepared: PreparedRestore;
  },
): Promise<Restored> {
  const { folders, owner } = target;
  const reading = options.signal ? { signal: options.signal } : {};
  const kept = listed && await keepEqualFiles(folders, listed, {
    ...{ owner, jobs: options.jobs, progress: parts.progress, ...reading },
  });
  const steps = kept ? stepsOf(listed, kept) : prepared.steps;
  const chunks = steps.steps.flatMap((step) => step.chunks);
  parts.progress.begin("restoring", chunks.reduce((sum, { rawBytes }) => sum + rawBytes, 0));
  const unpacked = await unpackSteps(target, parts, { steps, options });
  const required = unpacked.flatMap((chunk) => chunk.required);
  checkRequired(backup, new Set([...required, ...kept?.final ?? []]));
  await restoreList(target, parts, { backup, merged: steps.merged, options });
  const standard = kept ? makeStandardFolders(folders.destination, backup) : [];
  await makeStartable(target, parts, { backup, options });
  options.signal?.throwIfAborted();
  parts.progress.begin("syncing to disk");
  const made = unpacked.flatMap(({ created }) => created);
  await target.finish([...kept?.folders ?? [], ...made, ...standard]);
  return {
    files: unpacked.reduce((sum, { files }) => sum + files, 0),
    rawBytes: steps.bytes - (kept?.bytes ?? 0),
    fetchedBytes: fetchedBytes(steps),
    ...(kept && { kept: { files: kept.files, bytes: kept.bytes } }),
  };
}

/** What came of it. */
type Restored = Pick<RestoreReport, "files" | "rawBytes" | "fetchedBytes" | "kept">;

/** @throws {IntegrityError} when a file is missing without which no server starts. */
function checkRequired({ id }: BackupManifest, there: ReadonlySet<string>): void {
  const lacking = REQUIRED_FILES.find((name) => !there.has(name));
  if (lacking === undefined) return;
  throw new IntegrityError(`backup ${id} holds no ${lacking}: no server can start from it`);
}

/** One after the other: a barrier stands between two backups. */
async function unpackSteps(
  target: DestinationFolders,
  parts: RestoreParts,
  { steps: { steps }, options }: { readonly steps: RestoreSteps; readonly options: RestoreOptions },
): Promise<readonly UnpackedChunk[]> {
  using threads = new UnpackThreads();
  const unpacked: UnpackedChunk[] = [];
  for (const step of steps) {
    unpacked.push(await unpackStep(target, parts, { step, threads, options }));
  }
  return unpacked;
}

async function unpackStep(
  { folders, owner }: DestinationFolders,
  parts: RestoreParts,
  { step: { backup, selection, chunks, files }, threads, options: { jobs, signal } }: {
    readonly step: RestoreStep;
    readonly threads: UnpackThreads;
    readonly options: RestoreOptions;
  },
): Promise<UnpackedChunk> {
  const { algorithm } = backup.codec;
  const unpacked = await unpackChunks(parts, {
    ...{ folder: parts.repository.folder(backup), chunks, threads, jobs },
    sealed: backup.encryption !== null,
    setup: { folders, owner, algorithm, selection },
    ...(signal && { signal }),
  });
  if (files === undefined || unpacked.listed === files) return unpacked;
  throw new IntegrityError(
    `backup ${backup.id} holds ${unpacked.listed} of the ${files} files that its list promises`,
    OTHER_BACKUP_HINT,
  );
}

/** Links, and what PostgreSQL reads of its recovery. */
async function makeStartable(
  target: DestinationFolders,
  { progress }: RestoreParts,
  { backup, options }: RestoreRun,
): Promise<void> {
  const { folders: { destination }, owner } = target;
  await target.linkTablespaces();
  // Before ours are added.
  const runsCode = describeCodeSettings(await codeSettings(destination));
  if (runsCode !== undefined) progress.note(runsCode);
  await writeRecoverySettings(destination, {
    postgresVersion: backup.postgresVersion,
    keepArchiving: options.keepArchiving ?? false,
    ...(options.recovery && { recovery: options.recovery }),
  }, { owner });
}

/** PostgreSQL's own list of files, which pg_verifybackup reads; of a chain as one full backup's. */
async function restoreList(
  { folders, owner }: DestinationFolders,
  parts: RestoreParts,
  { backup, merged, options }: RestoreRun & { readonly merged: ReadonlySet<string> },
): Promise<void> {
  const path = `${folders.destination}/backup_manifest`;
  const { jobs, signal } = options;
  const reading = signal ? { signal } : {};
  const stored = storedManifest(parts, backup, reading);
  const changed = backup.parentId === null
    ? undefined
    : await changedFiles(folders, { merged, jobs, onProgress: () => {}, ...reading });
  await writeNewFile(path, ReadableStream.from(changed ? mergedManifest(stored, changed) : stored));
  if (owner) fs.chownSync(path, owner.uid, owner.gid);
}
