import { createHash } from "node:crypto";
import type { BackupManifest, ManifestObject, Repository } from "../../catalog/catalog.ts";
import { IntegrityError, ObjectMissingError } from "../../domain/errors.ts";
import { mapLimited } from "../../domain/map_limited.ts";
import type { Progress } from "../../domain/progress.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import { dependents } from "./dependents.ts";

/** What verifying needs of the world. */
export interface VerifyParts {
  readonly store: ObjectStore;
  readonly repository: Repository;
  /** Hears of the stored bytes that were read. */
  readonly progress: Progress;
}

/** What to read back. */
export interface VerifyBackupsOptions {
  /** Those to read. */
  readonly targets: readonly BackupManifest[];
  /** All of the repository: those among them that build on a damaged one are lost with it. */
  readonly backups: readonly BackupManifest[];
  /** Which part of the objects to read, above 0 and at most 1; all must be there. @default {1} */
  readonly sample?: number;
  /** From 0 up to 1. @default {Math.random} */
  readonly random?: () => number;
  /** Objects at a time, each with a few buffers of the store's. @default {4} */
  readonly jobs?: number;
  readonly signal?: AbortSignal;
}

/** An object of a backup that is missing, or not what was written. */
export interface ObjectFault {
  /** In the store. */
  readonly key: string;
  /** The backup that it belongs to. */
  readonly backupId: string;
  readonly reason: string;
  /** Every backup that cannot be restored without it: its own, and those that build on that. */
  readonly lost: readonly string[];
}

/** What became of one backup. */
export interface VerifiedBackup {
  readonly backup: BackupManifest;
  /** Objects that were read. */
  readonly objects: number;
  /** Bytes that were read. */
  readonly storedBytes: number;
  readonly faults: readonly ObjectFault[];
}

/**
 * Reads the objects of backups back and compares each length and SHA-256 with the manifest's. What
 * is stored is hashed as it is, so neither memory nor keys are needed for it.
 *
 * @returns an entry for each target, but for those that were removed meanwhile.
 * @throws {StorageError} when the store cannot be asked: that is no finding.
 */
export async function verifyBackups(
  parts: VerifyParts,
  options: VerifyBackupsOptions,
): Promise<readonly VerifiedBackup[]> {
  const { targets, jobs = 4 } = options;
  const plans: Plan[] = [];
  for (const backup of targets) plans.push(await planOf(parts, backup, options));
  const all = plans.flatMap(({ backup, read }) => read.map((object) => ({ backup, object })));
  parts.progress.begin("reading back", sum(all.map(({ object }) => object.storedBytes)));
  const faults: Found[] = plans.flatMap(({ faults }) => faults);
  const bytesOf = new Map(plans.map(({ backup }) => [backup, 0]));
  await mapLimited(all, jobs, async ({ backup, object }) => {
    const { reason, bytes } = await readBack(parts, { backup, object, signal: options.signal });
    if (reason !== undefined) faults.push({ backup, object, reason });
    bytesOf.set(backup, bytesOf.get(backup)! + bytes);
  });
  const found: VerifiedBackup[] = [];
  for (const { backup, read } of plans) {
    const own = faults.filter((fault) => fault.backup === backup);
    if (own.length > 0 && await isGone(parts, backup, options.signal)) continue;
    found.push({
      backup,
      objects: read.length,
      storedBytes: bytesOf.get(backup)!,
      faults: named(parts, own, options.backups),
    });
  }
  return found;
}

interface Found {
  readonly backup: BackupManifest;
  readonly object: ManifestObject;
  readonly reason: string;
}

interface Plan {
  readonly backup: BackupManifest;
  readonly faults: readonly Found[];
  /** What is there with its length. */
  readonly read: readonly ManifestObject[];
}

/** One listing tells of every object whether it is there, also of those that a sample leaves out. */
async function planOf(
  { store, repository }: VerifyParts,
  backup: BackupManifest,
  { sample = 1, random = Math.random, signal }: VerifyBackupsOptions,
): Promise<Plan> {
  const folder = repository.folder(backup);
  const sizes = new Map<string, number>();
  for await (const { key, size } of store.list(folder, reading(signal))) {
    sizes.set(key.slice(folder.length), size);
  }
  const faults = backup.objects.flatMap((object) => {
    const size = sizes.get(object.key);
    if (size === object.storedBytes) return [];
    const reason = size === undefined
      ? "is missing"
      : `has ${size} bytes, ${object.storedBytes} were stored`;
    return [{ backup, object, reason }];
  });
  const whole = backup.objects.filter(({ key, storedBytes }) => sizes.get(key) === storedBytes);
  return { backup, faults, read: chosen(whole, { sample, random }) };
}

/** So many of them, at least one, every choice as likely as any other. */
function chosen(
  objects: readonly ManifestObject[],
  { sample, random }: { readonly sample: number; readonly random: () => number },
): readonly ManifestObject[] {
  if (sample >= 1) return objects;
  const count = Math.ceil(objects.length * sample);
  const lots = objects.map((object) => ({ object, lot: random() }));
  const drawn = lots.toSorted((a, b) => a.lot - b.lot).slice(0, count);
  return drawn.map(({ object }) => object);
}

async function readBack(
  { store, repository, progress }: VerifyParts,
  { backup, object, signal }: {
    readonly backup: BackupManifest;
    readonly object: ManifestObject;
    readonly signal: AbortSignal | undefined;
  },
): Promise<{ readonly reason?: string; readonly bytes: number }> {
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    const key = repository.folder(backup) + object.key;
    for await (const chunk of await store.get(key, reading(signal))) {
      bytes += chunk.length;
      hash.update(chunk);
      progress.advance(chunk.length);
    }
  } catch (error) {
    if (error instanceof ObjectMissingError) return { reason: "is missing", bytes };
    if (error instanceof IntegrityError) return { reason: error.message, bytes };
    throw error;
  }
  if (bytes !== object.storedBytes) {
    return { reason: `has ${bytes} bytes, ${object.storedBytes} were stored`, bytes };
  }
  const sha256 = hash.digest("hex");
  if (sha256 === object.sha256) return { bytes };
  return { reason: `has SHA-256 ${sha256}, ${object.sha256} was stored`, bytes };
}

/** Whoever removes a backup removes its manifest first: then nothing of it is missed. */
async function isGone(
  { store, repository }: VerifyParts,
  backup: BackupManifest,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  return await store.head(`${repository.folder(backup)}backup.json`, reading(signal)) === undefined;
}

function named(
  { repository }: VerifyParts,
  faults: readonly Found[],
  backups: readonly BackupManifest[],
): readonly ObjectFault[] {
  return faults.map(({ backup, object, reason }) => ({
    key: repository.folder(backup) + object.key,
    backupId: backup.id,
    reason,
    lost: dependents(backup.id, backups),
  }));
}

function reading(signal: AbortSignal | undefined) {
  return signal ? { signal } : {};
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
