import * as fs from "node:fs";
import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError } from "../../domain/errors.ts";
import { cannotWrite } from "../destination/cannot_write.ts";
import type { FileOwner } from "./file_owner.ts";
import { memberPath, type RestoreFolders } from "./member_path.ts";
import { CONTROL_FILE, PENDING_CONTROL_FILE, REQUIRED_FILES } from "./required_files.ts";
import type { TarMember } from "./tar_member.ts";
import type { TarHandler } from "./tar_reader.ts";
import type { UnpackedChunk } from "./unpack_messages.ts";

const REQUIRED: ReadonlySet<string> = new Set(REQUIRED_FILES);
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/**
 * Writes the members of chunks to disk, each file only if absent, through no symbolic link that
 * was not there before. It trusts nothing that a name or a type says.
 */
export class ChunkUnpacker implements TarHandler {
  readonly #folders: RestoreFolders;
  readonly #owner: FileOwner | undefined;
  /** Folders known to be there. */
  readonly #present: Set<string>;
  #created: string[] = [];
  #required: string[] = [];
  #files = 0;
  #open: { readonly path: string; readonly descriptor: number } | undefined;

  /** @param owner who gets the files; undefined for the user who runs this. */
  constructor(folders: RestoreFolders, owner: FileOwner | undefined) {
    this.#folders = folders;
    this.#owner = owner;
    this.#present = new Set([folders.destination, ...folders.tablespaces.values()]);
  }

  /** What was written since the last call. */
  take(): UnpackedChunk {
    const unpacked = { files: this.#files, created: this.#created, required: this.#required };
    this.#files = 0;
    this.#created = [];
    this.#required = [];
    return unpacked;
  }

  begin(member: TarMember): void {
    if (member.type === "symlink") {
      throw new IntegrityError(`member ${JSON.stringify(member.name)} is a symbolic link`);
    }
    const stored = member.name === CONTROL_FILE ? PENDING_CONTROL_FILE : member.name;
    const path = memberPath(stored, this.#folders);
    if (member.type === "directory") return this.#makeFolder(path);
    this.#makeFolder(parent(path));
    this.#open = { path, descriptor: this.#create(path, member.name) };
    this.#files += 1;
    if (REQUIRED.has(member.name)) this.#required.push(member.name);
  }

  content(bytes: Bytes): void {
    const { path, descriptor } = this.#opened();
    let written = 0;
    while (written < bytes.length) {
      written += attempt(path, () => fs.writeSync(descriptor, bytes, written));
    }
  }

  end(): void {
    if (!this.#open) return;
    const { path, descriptor } = this.#open;
    const owner = this.#owner;
    if (owner) attempt(path, () => fs.fchownSync(descriptor, owner.uid, owner.gid));
    this.#open = undefined;
    attempt(path, () => fs.closeSync(descriptor));
  }

  /** Closes what is open. What was written stays. */
  abandon(): void {
    if (this.#open) fs.closeSync(this.#open.descriptor);
    this.#open = undefined;
  }

  #opened(): { readonly path: string; readonly descriptor: number } {
    if (!this.#open) throw new IntegrityError("a folder has content");
    return this.#open;
  }

  #create(path: string, name: string): number {
    try {
      return fs.openSync(path, "wx", FILE_MODE);
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw cannotWrite(path, error);
      throw new IntegrityError(`member ${JSON.stringify(name)} is in the backup twice`);
    }
  }

  #makeFolder(path: string): void {
    if (this.#present.has(path)) return;
    this.#makeFolder(parent(path));
    try {
      fs.mkdirSync(path, FOLDER_MODE);
      this.#created.push(path);
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw cannotWrite(path, error);
      if (!attempt(path, () => fs.lstatSync(path)).isDirectory()) {
        throw new IntegrityError(`${path} is in the backup as a file and as a folder`);
      }
    }
    this.#present.add(path);
  }
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

function attempt<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
