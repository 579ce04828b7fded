import * as fs from "node:fs";
import type { BackupManifest } from "../../catalog/catalog.ts";
import { systemClock } from "../../domain/clock.ts";
import { DestinationError, IntegrityError } from "../../domain/errors.ts";
import { mapLimited } from "../../domain/map_limited.ts";
import type { RestoreParts, RestorePlan, RestoreReport } from "../parts.ts";
import { writeRecoverySettings } from "../recovery/write_recovery_settings.ts";
import { DestinationFolders } from "./destination_folders.ts";
import { namingObject, OTHER_BACKUP_HINT } from "../naming_object.ts";
import { planPhysicalRestore, type RestoreRun } from "./plan_physical_restore.ts";
import { REQUIRED_FILES } from "./required_files.ts";
import { sealedAs } from "../sealed_as.ts";
import { restoreOwner } from "./restore_owner.ts";
import { writeNewFile } from "../destination/sync_folders.ts";
import { unpackChunks } from "./unpack_chunks.ts";
import { withLeftovers } from "../with_leftovers.ts";

/** How many objects are asked for at once before the restore begins. */
const HEADS_AT_ONCE = 8;

/**
 * Restores a physical backup into an empty or absent folder. Until everything is verified and on
 * disk there is no global/pg_control in it, without which no server starts.
 *
 * @throws {DestinationError} before the first byte when a folder cannot take it.
 * @throws {IntegrityError} naming the object that is damaged or missing.
 */
export async function restorePhysical(
  parts: RestoreParts,
  run: RestoreRun,
): Promise<RestoreReport> {
  const started = systemClock.monotonic();
  const plan = await planPhysicalRestore(parts, run);
  const [obstacle] = plan.obstacles;
  if (obstacle !== undefined) throw new DestinationError(plan.obstacles.join("; "), remedy(plan));
  await checkObjects(parts, run);
  const owner = await restoreOwner(plan.destination, { uid: Deno.uid() });
  const target = new DestinationFolders(plan.destination, { ...plan, owner });
  await target.prepare().catch(async (error) => {
    await target.abandon();
    throw error;
  });
  const files = await restoreInto(target, parts, run).catch(async (error) => {
    await target.abandon();
    const left = leftovers(target.roots);
    parts.progress.note(left);
    const { signal } = run.options;
    throw withLeftovers(signal?.aborted ? signal.reason : error, left);
  });
  return {
    backup: run.backup,
    destination: plan.destination,
    files,
    rawBytes: run.backup.rawBytes,
    fetchedBytes: run.backup.storedBytes,
    durationSeconds: (systemClock.monotonic() - started) / 1000,
  };
}

function remedy({ tablespaces }: RestorePlan): string {
  const folder = "choose a folder that is absent or empty, with room enough";
  return tablespaces.length === 0 ? folder : `${folder}; --tablespace-map moves tablespaces`;
}

/** What people have to remove, in one sentence. */
function leftovers(folders: readonly string[]): string {
  const hold = folders.length > 1 ? "hold" : "holds";
  return `${folders.join(" and ")} ${hold} an unfinished restore: remove it before the next try`;
}

/** Every object must be there before the first byte is written. */
async function checkObjects(
  { store, repository }: RestoreParts,
  { backup, options: { signal } }: RestoreRun,
): Promise<void> {
  const folder = repository.folder(backup);
  await mapLimited(backup.objects, HEADS_AT_ONCE, async ({ key, storedBytes }) => {
    const info = await store.head(`${folder}${key}`, signal ? { signal } : {});
    if (!info) throw missing(`${folder}${key}`, backup);
    if (info.size === storedBytes) return;
    throw new IntegrityError(
      `object ${folder}${key} has ${info.size} bytes, the backup says ${storedBytes}`,
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

async function restoreInto(
  target: DestinationFolders,
  parts: RestoreParts,
  run: RestoreRun,
): Promise<number> {
  const { backup, options } = run;
  const folder = parts.repository.folder(backup);
  parts.progress.begin("restoring", backup.rawBytes);
  const unpacked = await unpackChunks(parts, {
    folder,
    chunks: backup.objects.filter(({ role }) => role === "chunk"),
    sealed: backup.encryption !== null,
    setup: { folders: target.folders, owner: target.owner, algorithm: backup.codec.algorithm },
    jobs: options.jobs,
    ...(options.signal && { signal: options.signal }),
  });
  const lacking = REQUIRED_FILES.find((name) => !unpacked.required.includes(name));
  if (lacking !== undefined) {
    throw new IntegrityError(
      `backup ${backup.id} holds no ${lacking}: no server can start from it`,
    );
  }
  await restoreManifest(target, parts, run);
  await target.linkTablespaces();
  await writeRecoverySettings(target.folders.destination, {
    postgresVersion: backup.postgresVersion,
    keepArchiving: options.keepArchiving ?? false,
    ...(options.recovery && { recovery: options.recovery }),
  }, { owner: target.owner });
  options.signal?.throwIfAborted();
  parts.progress.begin("syncing to disk");
  await target.finish(unpacked.created);
  return unpacked.files;
}

/** PostgreSQL's own list of files, which pg_verifybackup reads. */
async function restoreManifest(
  { folders, owner }: DestinationFolders,
  { store, codecs, repository }: RestoreParts,
  { backup, options: { signal } }: RestoreRun,
): Promise<void> {
  const object = backup.objects.find(({ role }) => role === "backup_manifest");
  if (!object) throw new IntegrityError(`backup ${backup.id} has no backup_manifest`);
  const path = `${folders.destination}/backup_manifest`;
  await namingObject(`${repository.folder(backup)}${object.key}`, async (key) => {
    const decoder = codecs.codec(backup.codec).decode({
      expected: object,
      ...sealedAs(backup, key),
      ...(signal && { signal }),
    });
    const stored = await store.get(key, signal ? { signal } : {});
    await writeNewFile(path, stored.pipeThrough(decoder));
  });
  if (owner) fs.chownSync(path, owner.uid, owner.gid);
}
