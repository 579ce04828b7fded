import type { BackupManifest, ManifestObject } from "../../../catalog/catalog.ts";
import { EVERYTHING, type Selection } from "../selection.ts";
import { type FileList, readFileList } from "./file_list.ts";
import { type KeptFiles, type ListedBackup, planLevels } from "./plan_levels.ts";
import { type ManifestParts, storedManifest } from "./stored_manifest.ts";

/** What a restore takes from one backup. */
export interface RestoreStep {
  readonly backup: BackupManifest;
  readonly selection: Selection;
  readonly chunks: readonly ManifestObject[];
  /** How many files of PostgreSQL's list have to come out; undefined when the list was not read. */
  readonly files: number | undefined;
}

/** Everything that a restore of a backup takes, the oldest backup first. */
export interface RestoreSteps {
  /** The full backup first, whether anything of it is needed or not. */
  readonly chain: readonly BackupManifest[];
  readonly steps: readonly RestoreStep[];
  /** Files that several backups make together. */
  readonly merged: ReadonlySet<string>;
  /** Of the newest backup; undefined when it was not needed. */
  readonly files: FileList | undefined;
  /** The length of all files in the end, as far as it is known before. */
  readonly bytes: number;
}

/** Bytes that the steps fetch from the store. */
export function fetchedBytes({ steps }: RestoreSteps): number {
  const chunks = steps.flatMap((step) => step.chunks);
  const manifest = steps.at(-1)!.backup.objects.filter(({ role }) => role === "backup_manifest");
  return [...chunks, ...manifest].reduce((sum, object) => sum + object.storedBytes, 0);
}

/** A full backup into an empty folder: all of it, and no list is read. */
export function wholeBackup(backup: BackupManifest): RestoreSteps {
  const chunks = backup.objects.filter(({ role }) => role === "chunk");
  const step = { backup, selection: EVERYTHING, chunks, files: undefined };
  return {
    chain: [backup],
    steps: [step],
    merged: new Set(),
    files: undefined,
    bytes: backup.rawBytes,
  };
}

/** PostgreSQL's lists of the files of a chain. @throws {IntegrityError} */
export async function listChain(
  parts: ManifestParts,
  chain: readonly BackupManifest[],
  options: { readonly signal?: AbortSignal },
): Promise<readonly ListedBackup[]> {
  const listed: ListedBackup[] = [];
  for (const backup of chain) {
    const files = await readFileList(storedManifest(parts, backup, options));
    listed.push({ backup, files });
  }
  return listed;
}

/** What is to be taken from each backup of a chain. @throws {IntegrityError} */
export function stepsOf(listed: readonly ListedBackup[], kept?: KeptFiles): RestoreSteps {
  const { levels, merged, bytes } = planLevels(listed, kept);
  const { backup, files } = listed.at(-1)!;
  // WAL and what else is in no list.
  const unlisted = backup.rawBytes - [...files.values()].reduce((sum, { size }) => sum + size, 0);
  const chain = listed.map((one) => one.backup);
  return { chain, steps: levels, merged, files, bytes: bytes + Math.max(0, unlisted) };
}
