import * as fs from "node:fs";
import { lchown } from "node:fs/promises"; // Deno 2.6 has no lchownSync
import { cannotWrite } from "../../destination/cannot_write.ts";
import type { FileOwner } from "../file_owner.ts";
import type { RestoreFolders } from "../member_path.ts";

/** A file that is there. */
export interface ExistingFile {
  readonly path: string;
  readonly size: number;
  readonly uid: number;
}

/** What is in the folders of a restore before it begins. */
export interface ExistingTree {
  /** By their stored names. */
  readonly files: ReadonlyMap<string, ExistingFile>;
  /** Absolute paths by stored names, those above first. */
  readonly folders: ReadonlyMap<string, string>;
}

/** How the folders are walked. */
export interface WalkOptions {
  /** Set when root restores: folders become root's, so that nobody leads its writes astray. */
  readonly owner: FileOwner | undefined;
  /** Of the backup: tablespaces hold a folder for each version, and only this one is touched. */
  readonly major: number;
}

/**
 * Lists the files below the folders of a restore. What is neither file nor folder is removed: links
 * would lead writes elsewhere, and a backup holds none.
 *
 * @throws {DestinationError}
 */
export async function walkExisting(
  { destination, tablespaces }: RestoreFolders,
  { owner, major }: WalkOptions,
): Promise<ExistingTree> {
  const files = new Map<string, ExistingFile>();
  const folders = new Map<string, string>();
  const take = async (name: string, path: string): Promise<void> => {
    const info = fs.lstatSync(path);
    if (info.isFile()) files.set(name, { path, size: info.size, uid: info.uid });
    else if (!info.isDirectory()) fs.rmSync(path);
    else {
      if (owner) await lchown(path, 0, 0);
      folders.set(name, path);
      for (const entry of fs.readdirSync(path)) await take(`${name}/${entry}`, `${path}/${entry}`);
    }
  };
  const below = async (folder: string, prefix: string, wanted: (entry: string) => boolean) => {
    try {
      for (const entry of fs.readdirSync(folder)) {
        if (wanted(entry)) await take(`${prefix}${entry}`, `${folder}/${entry}`);
      }
    } catch (error) {
      throw cannotWrite(folder, error);
    }
  };
  await below(destination, "", () => true);
  for (const [oid, folder] of tablespaces) {
    await below(folder, `pg_tblspc/${oid}/`, (entry) => entry.startsWith(`PG_${major}_`));
  }
  return { files, folders };
}
