import * as fs from "node:fs";
import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError } from "../../domain/errors.ts";
import { cannotWrite } from "../destination/cannot_write.ts";
import type { FileOwner } from "./file_owner.ts";
import { isListed } from "./file_tally.ts";
import { PAGE_BYTES } from "./incremental/incremental_header.ts";
import { patchedName } from "./incremental/incremental_name.ts";
import { IncrementalReader } from "./incremental/incremental_reader.ts";
import { memberPath, type RestoreFolders } from "./member_path.ts";
import { CONTROL_FILE, PENDING_CONTROL_FILE, REQUIRED_FILES } from "./required_files.ts";
import { EVERYTHING, isSelected, type Selection } from "./selection.ts";
import type { TarMember } from "./tar_member.ts";
import type { TarHandler } from "./tar_reader.ts";
import type { UnpackedChunk } from "./unpack_messages.ts";

const REQUIRED: ReadonlySet<string> = new Set(REQUIRED_FILES);
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** The file that the member under way goes into. */
interface OpenFile {
  readonly path: string;
  readonly descriptor: number;
  /** Where the member holds pages of it. */
  readonly pages?: IncrementalReader;
}

/**
 * Writes the members of chunks to disk, each file only if absent, through no symbolic link that
 * was not there before. Those that hold pages go into the files that are there. It trusts nothing
 * that a name or a type says.
 */
export class ChunkUnpacker implements TarHandler {
  readonly #folders: RestoreFolders;
  readonly #owner: FileOwner | undefined;
  /** Folders known to be there. */
  readonly #present: Set<string>;
  #created: string[] = [];
  #required: string[] = [];
  #files = 0;
  #listed = 0;
  #open: OpenFile | undefined;
  #skipped = false;
  readonly #selection: Selection;

  /**
   * @param options.owner who gets the files; undefined for the user who runs this.
   * @param options.selection what is unpacked. @default everything
   */
  constructor(
    folders: RestoreFolders,
    { owner, selection = EVERYTHING }: {
      readonly owner: FileOwner | undefined;
      readonly selection?: Selection;
    },
  ) {
    this.#folders = folders;
    this.#owner = owner;
    this.#selection = selection;
    this.#present = new Set([folders.destination, ...folders.tablespaces.values()]);
  }

  /** What was written since the last call. */
  take(): UnpackedChunk {
    const unpacked = {
      files: this.#files,
      listed: this.#listed,
      created: this.#created,
      required: this.#required,
    };
    this.#files = 0;
    this.#listed = 0;
    this.#created = [];
    this.#required = [];
    return unpacked;
  }

  begin(member: TarMember): void {
    this.#skipped = !isSelected(this.#selection, member);
    if (this.#skipped) return;
    if (member.type === "symlink") {
      throw new IntegrityError(`member ${JSON.stringify(member.name)} is a symbolic link`);
    }
    const stored = member.name === CONTROL_FILE ? PENDING_CONTROL_FILE : member.name;
    const path = memberPath(stored, this.#folders);
    if (member.type === "directory") return this.#makeFolder(path);
    if (isListed(member.name)) this.#listed += 1;
    const target = this.#selection.patches ? patchedName(member.name) : undefined;
    if (target !== undefined) {
      this.#open = this.#openPatched(memberPath(target, this.#folders), member.name);
      return;
    }
    if (this.#present.has(path)) throw bothKinds(path); // a tablespace itself, at the least
    this.#makeFolder(parent(path));
    this.#open = { path, descriptor: this.#create(path, member.name) };
    this.#files += 1;
    if (REQUIRED.has(member.name)) this.#required.push(member.name);
  }

  content(bytes: Bytes): void {
    if (this.#skipped) return;
    const { path, descriptor, pages } = this.#opened();
    if (pages) return naming(path, () => pages.push(bytes));
    write(path, descriptor, { bytes, offset: null });
  }

  end(): void {
    if (!this.#open) return;
    const { path, descriptor, pages } = this.#open;
    if (pages) naming(path, () => pages.finish());
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

  #opened(): OpenFile {
    if (!this.#open) throw new IntegrityError("a folder has content");
    return this.#open;
  }

  /** A file that an older backup has put there. */
  #openPatched(path: string, name: string): OpenFile {
    const info = fs.lstatSync(path, { throwIfNoEntry: false });
    if (!info?.isFile()) {
      throw new IntegrityError(
        `member ${JSON.stringify(name)} holds pages of a file that no older backup has`,
      );
    }
    const descriptor = attempt(path, () => fs.openSync(path, "r+"));
    const pages = new IncrementalReader({
      head(head) {
        // What lay behind it is gone, and reads as zeros where pages follow behind a gap.
        attempt(path, () => fs.ftruncateSync(descriptor, head.truncationBlocks * PAGE_BYTES));
      },
      write: (bytes, offset) => write(path, descriptor, { bytes, offset }),
    });
    return { path, descriptor, pages };
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
      if (!attempt(path, () => fs.lstatSync(path)).isDirectory()) throw bothKinds(path);
    }
    this.#present.add(path);
  }
}

/** @param options.offset in the file; null for where the last write ended. */
function write(
  path: string,
  descriptor: number,
  { bytes, offset }: { readonly bytes: Bytes; readonly offset: number | null },
): void {
  let written = 0;
  while (written < bytes.length) {
    const at = offset === null ? null : offset + written;
    const part = bytes.length - written;
    written += attempt(path, () => fs.writeSync(descriptor, bytes, written, part, at));
  }
}

/** Names the file whose pages are wrong. */
function naming(path: string, read: () => void): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    throw new IntegrityError(`the increment of ${path}: ${error.message}`, error.hint, {
      cause: error,
    });
  }
}

function bothKinds(path: string): IntegrityError {
  return new IntegrityError(`${path} is in the backup as a file and as a folder`);
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
