/**
 * What of each backup of a chain is needed. The oldest comes first: later ones write into the files
 * of earlier ones, so that nothing is staged anywhere.
 *
 * @module
 */
import type { BackupManifest, ManifestObject } from "../../../catalog/catalog.ts";
import { IntegrityError } from "../../../domain/errors.ts";
import { OTHER_BACKUP_HINT } from "../../naming_object.ts";
import { CONTROL_FILE } from "../required_files.ts";
import type { Selection } from "../selection.ts";
import type { FileList } from "./file_list.ts";
import { incrementalName, patchedName } from "./incremental_name.ts";

/** A backup of a chain, with PostgreSQL's list of its files. */
export interface ListedBackup {
  readonly backup: BackupManifest;
  readonly files: FileList;
}

/** What a restore takes from one backup. */
export interface Level {
  readonly backup: BackupManifest;
  readonly selection: Selection;
  readonly chunks: readonly ManifestObject[];
  /** How many files of the list have to come out of these chunks. */
  readonly files: number;
}

/** What a restore of a chain does. */
export interface LevelPlan {
  /** The oldest first; backups of which nothing is needed are left out, but never the newest. */
  readonly levels: readonly Level[];
  /** Files that several backups make together. */
  readonly merged: ReadonlySet<string>;
  /** The length of all files together, as far as it is known before. */
  readonly bytes: number;
}

/** Files at the destination that are as they should be. */
export interface KeptFiles {
  /** In their final form. */
  readonly final: ReadonlySet<string>;
  /** As the oldest backup that is needed has them; the newer ones are still to be applied. */
  readonly base: ReadonlySet<string>;
}

const NOTHING: KeptFiles = { final: new Set(), base: new Set() };

/**
 * Plans the levels of a chain: files that a newer backup holds whole, or that are gone in the
 * newest, are not taken from the older ones.
 *
 * @param chain the full backup first.
 * @throws {IntegrityError} when an increment holds pages of a file that no older one has.
 */
export function planLevels(
  chain: readonly ListedBackup[],
  kept: KeptFiles = NOTHING,
): LevelPlan {
  const newest = chain.length - 1;
  const wanted = chain.map(() => new Set<string>());
  const merged = new Set<string>();
  let bytes = 0;
  for (const [name, { size }] of chain[newest]!.files) {
    const target = newest === 0 ? undefined : patchedName(name);
    if (target === undefined) {
      bytes += size;
      if (!kept.final.has(name)) wanted[newest]!.add(name);
      continue;
    }
    if (chain[newest]!.files.has(target)) throw twice(chain[newest]!.backup, target);
    merged.add(target);
    const base = baseOf(chain, target);
    bytes += chain[base]!.files.get(target)!.size;
    if (kept.final.has(target)) continue;
    if (!kept.base.has(target)) wanted[base]!.add(target);
    for (let level = base + 1; level <= newest; level++) {
      wanted[level]!.add(incrementalName(target));
    }
  }
  return { levels: levelsOf(chain, wanted), merged, bytes };
}

/** The newest backup that holds all of `target`; those behind it hold pages. */
export function baseOf(chain: readonly ListedBackup[], target: string): number {
  for (let level = chain.length - 2; level >= 0; level--) {
    const { backup, files } = chain[level]!;
    if (files.has(target)) return level;
    if (level > 0 && files.has(incrementalName(target))) continue;
    throw new IntegrityError(
      `increment ${
        chain.at(-1)!.backup.id
      } holds pages of ${target}, which ${backup.id} does not have`,
      OTHER_BACKUP_HINT,
    );
  }
  throw new TypeError("a full backup alone has no pages");
}

function levelsOf(
  chain: readonly ListedBackup[],
  wanted: readonly ReadonlySet<string>[],
): readonly Level[] {
  const newest = chain.length - 1;
  return chain.flatMap(({ backup, files }, index) => {
    const names = wanted[index]!;
    if (index < newest && names.size === 0) return [];
    const selection = {
      patches: index > 0,
      ...(index < newest ? { only: names } : { except: without(files, names) }),
    };
    const chunks = chunksFor({ backup, files }, { names, newest: index === newest });
    return [{ backup, selection, chunks, files: names.size }];
  });
}

/** What the newest backup lists and nobody wants: everything else of it is taken, WAL and folders. */
function without(files: FileList, names: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...files.keys()].filter((name) => !names.has(name)));
}

/**
 * The chunks that hold `names`; all of them where nobody knows what they hold. Of the newest backup
 * those from pg_control on, too: behind it comes the WAL, which is in no list.
 */
function chunksFor(
  { backup, files }: ListedBackup,
  { names, newest }: { readonly names: ReadonlySet<string>; readonly newest: boolean },
): readonly ManifestObject[] {
  const chunks = backup.objects.filter(({ role }) => role === "chunk");
  const counted = chunks.reduce((sum, chunk) => sum + (chunk.files ?? Number.NaN), 0);
  if (counted !== files.size) return chunks;
  const listed = files.keys();
  let behindControl = false;
  return chunks.filter((chunk) => {
    // Without any file it holds folders, which are in no list either.
    let needed = behindControl || (newest && chunk.files === 0);
    for (let file = 0; file < chunk.files!; file++) {
      const name = listed.next().value!;
      if (newest && name === CONTROL_FILE) needed = behindControl = true;
      if (names.has(name)) needed = true;
    }
    return needed;
  });
}

function twice({ id }: BackupManifest, target: string): IntegrityError {
  return new IntegrityError(`backup ${id} holds ${target} whole and in pages`, OTHER_BACKUP_HINT);
}
