import * as fs from "node:fs";
import { lchown } from "node:fs/promises";
import type { Bytes } from "../../../domain/bytes.ts";
import { IntegrityError } from "../../../domain/errors.ts";
import type { Progress } from "../../../domain/progress.ts";
import { cannotWrite } from "../../destination/cannot_write.ts";
import type { FileOwner } from "../file_owner.ts";
import { hashFiles } from "../hash_files.ts";
import { type FileEntry, type FileList, readFileList } from "../incremental/file_list.ts";
import { patchedName } from "../incremental/incremental_name.ts";
import { baseOf, type KeptFiles, type ListedBackup } from "../incremental/plan_levels.ts";
import type { RestoreFolders } from "../member_path.ts";
import { CONTROL_FILE, PENDING_CONTROL_FILE } from "../required_files.ts";
import { MARKER_FILE } from "./restore_marker.ts";
import { isStandardFolder } from "./standard_folders.ts";
import { type ExistingFile, type ExistingTree, walkExisting } from "./walk_existing.ts";

/** What stays at the destination, and how much that is. */
export interface Kept extends KeptFiles {
  readonly files: number;
  readonly bytes: number;
  /** Folders that stay, by their absolute paths. */
  readonly folders: readonly string[];
}

/** How files are compared. */
export interface KeepOptions {
  readonly owner: FileOwner | undefined;
  readonly jobs: number;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

const MANIFEST_FILE = "backup_manifest";
const LABEL_FILE = "backup_label";
/** Of a tablespace, for one version of PostgreSQL. */
const VERSION_FOLDER = /^pg_tblspc\/\d+\/PG_[^/]+$/;

/**
 * Compares what is at the destination with what the backup lists, by hashes and never by time, and
 * removes everything else. pg_control goes first: from then on no server starts there.
 *
 * @param chain the full backup first.
 * @throws {DestinationError} when something cannot be read or removed.
 */
export async function keepEqualFiles(
  folders: RestoreFolders,
  chain: readonly ListedBackup[],
  { owner, ...options }: KeepOptions,
): Promise<Kept> {
  for (const name of [CONTROL_FILE, PENDING_CONTROL_FILE]) {
    remove(`${folders.destination}/${name}`);
  }
  const { backup, files: listed } = chain.at(-1)!;
  const major = Math.floor(backup.postgresVersion / 10_000);
  const before = await restoredList(folders.destination, listed);
  const tree = await walkExisting(folders, { owner, major });
  const wanted = wantedFiles(chain, before);
  const equal = await equalFiles(tree, wanted, options);
  for (const [name, file] of tree.files) {
    if (name === MARKER_FILE) continue;
    if (!equal.final.has(name) && !equal.base.has(name)) remove(file.path);
    else if (owner && file.uid !== owner.uid) await lchown(file.path, owner.uid, owner.gid);
  }
  const stay = removeEmptyFolders(tree, new Set([...equal.final, ...equal.base]));
  const names = [...equal.final, ...equal.base];
  const bytes = names.reduce((sum, name) => sum + tree.files.get(name)!.size, 0);
  return { ...equal, files: names.length, bytes, folders: stay };
}

/** What a file may be to stay: as it has to be in the end, or as an older backup has it. */
interface Wanted {
  readonly final: FileEntry | undefined;
  readonly base: FileEntry | undefined;
}

function wantedFiles(
  chain: readonly ListedBackup[],
  before: FileList | undefined,
): ReadonlyMap<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  const newest = chain.at(-1)!.files;
  for (const [name, entry] of newest) {
    const target = chain.length === 1 ? undefined : patchedName(name);
    if (name === CONTROL_FILE) continue;
    if (target === undefined) wanted.set(name, { final: entry, base: undefined });
    else {
      const base = chain[baseOf(chain, target)]!.files.get(target);
      wanted.set(target, { final: before?.get(target), base });
    }
  }
  return wanted;
}

/**
 * The list that an earlier restore of the very same backup has left: it knows the files that several
 * backups make together. Undefined when it is another backup's, or makes no sense.
 */
async function restoredList(
  destination: string,
  listed: FileList,
): Promise<FileList | undefined> {
  try {
    const found = await readFileList(readWhole(`${destination}/${MANIFEST_FILE}`));
    for (const [name, { checksum }] of listed) {
      if (name === LABEL_FILE || patchedName(name) !== undefined) continue;
      if (found.get(name)?.checksum !== checksum) return undefined;
    }
    return found;
  } catch (error) {
    if (error instanceof IntegrityError || error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof Deno.errors.PermissionDenied) return undefined;
    throw error;
  }
}

async function* readWhole(path: string): AsyncGenerator<Bytes> {
  yield await Deno.readFile(path);
}

async function equalFiles(
  { files }: ExistingTree,
  wanted: ReadonlyMap<string, Wanted>,
  { jobs, progress, signal }: Omit<KeepOptions, "owner">,
): Promise<KeptFiles> {
  const kept = { final: new Set<string>(), base: new Set<string>() };
  for (const role of ["final", "base"] as const) {
    const candidates = [...wanted].flatMap(([name, one]) => {
      const [file, entry] = [files.get(name), one[role]];
      if (!file || !entry || kept.final.has(name)) return [];
      return isCandidate(file, entry) ? [{ name, file, entry }] : [];
    });
    const total = candidates.reduce((sum, { file }) => sum + file.size, 0);
    if (role === "final") progress.begin("comparing what is there", total);
    const hashed = await hashFiles(
      candidates.map(({ file, entry }) => {
        return { path: file.path, algorithm: entry.algorithm!, bytes: file.size };
      }),
      { jobs, onProgress: (bytes) => progress.advance(bytes), ...(signal && { signal }) },
    );
    for (const [index, { name, entry }] of candidates.entries()) {
      if (hashed[index]?.checksum === entry.checksum) kept[role].add(name);
    }
  }
  return kept;
}

function isCandidate(file: ExistingFile, entry: FileEntry): boolean {
  return entry.algorithm !== undefined && file.size === entry.size;
}

/** Those below first. @returns those that stay. */
function removeEmptyFolders(
  { folders }: ExistingTree,
  kept: ReadonlySet<string>,
): readonly string[] {
  const used = new Set<string>();
  for (const name of kept) {
    for (let at = name.lastIndexOf("/"); at > 0; at = name.lastIndexOf("/", at - 1)) {
      used.add(name.slice(0, at));
    }
  }
  const stay: string[] = [];
  for (const [name, path] of [...folders].toReversed()) {
    if (used.has(name) || isStandardFolder(name) || VERSION_FOLDER.test(name)) stay.unshift(path);
    else removeFolder(path);
  }
  return stay;
}

function removeFolder(path: string): void {
  try {
    fs.rmdirSync(path);
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

function remove(path: string): void {
  try {
    fs.rmSync(path, { force: true });
  } catch (error) {
    throw cannotWrite(path, error);
  }
}
