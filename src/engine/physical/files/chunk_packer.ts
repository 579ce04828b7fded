import { createHash, type Hash } from "node:crypto";
import { BLOCK_BYTES } from "../../../codec/codec.ts";
import { type Bytes, KiB } from "../../../domain/bytes.ts";
import { PostgresError } from "../../../domain/errors.ts";
import {
  cannotRead,
  type DamagedPage,
  PageVerifier,
  type RelationFile,
  relationFile,
} from "../../../postgres/postgres.ts";
import { tarHeader } from "../tar_header.ts";
import { TAR_BLOCK_BYTES } from "../tar_member.ts";
import type { ChunkEntry, FileSetup, PackedFile } from "./file_messages.ts";

/** WebAssembly's unit of memory. */
const WASM_PAGE_BYTES = 64 * KiB;
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/**
 * Reads files of the data directory into the blocks of a chunk: a tar whose blocks never split a
 * page. Pages are verified and files hashed where they lie, in one buffer that never moves.
 */
export class ChunkPacker {
  readonly #setup: FileSetup;
  readonly #emit: (block: Bytes) => Promise<void>;
  readonly #block: Bytes;
  readonly #verifier: PageVerifier | undefined;
  #filled = 0;
  #files: PackedFile[] = [];

  /** @param emit gets each full block; the view is valid until its promise settles. */
  constructor(setup: FileSetup, emit: (block: Bytes) => Promise<void>) {
    this.#setup = setup;
    this.#emit = emit;
    const memory = new WebAssembly.Memory({ initial: BLOCK_BYTES / WASM_PAGE_BYTES });
    this.#block = new Uint8Array(memory.buffer as ArrayBuffer);
    const { checksums, pageBytes } = setup.pages;
    this.#verifier = checksums ? new PageVerifier(memory, pageBytes) : undefined;
  }

  /** Appends a member. @throws {PostgresError} when a file cannot be read. */
  async add(entry: ChunkEntry): Promise<void> {
    if (entry.type === "folder") return await this.#header(entry.path, "directory", 0);
    if (entry.type === "content") return await this.#content(entry);
    const path = `${this.#setup.dataDirectory}/${entry.path}`;
    using file = open(path, { mayBeMissing: entry.type === "file" });
    if (!file) return;
    const info = file.statSync();
    if (!info.isFile) return; // another thing by now
    if (entry.type === "wal" && entry.size !== undefined && entry.size !== info.size) {
      throw new PostgresError(`${path} has ${info.size} bytes, not ${entry.size}`);
    }
    const packed = await this.#file(entry.path, { file, info });
    if (entry.type === "file") this.#files.push(packed);
  }

  /** Ends the tar. @returns the files that are in it. */
  async finish(): Promise<readonly PackedFile[]> {
    await this.#append(new Uint8Array(2 * TAR_BLOCK_BYTES));
    await this.#flush();
    const files = this.#files;
    this.#files = [];
    return files;
  }

  async #content(
    { path, bytes, modifiedAt, listed }: Extract<ChunkEntry, { readonly type: "content" }>,
  ): Promise<void> {
    await this.#header(path, "file", bytes.length);
    for (let at = 0; at < bytes.length; at += TAR_BLOCK_BYTES) {
      await this.#append(bytes.subarray(at, at + TAR_BLOCK_BYTES));
    }
    await this.#pad(bytes.length);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    if (listed) this.#files.push({ path, size: bytes.length, modifiedAt, sha256 });
  }

  async #header(
    path: string,
    type: "file" | "directory",
    size: number,
    info?: Deno.FileInfo,
  ): Promise<void> {
    const header = tarHeader({
      ...{ path, type, size, modifiedAt: info?.mtime?.getTime() ?? 0 },
      mode: type === "file" ? FILE_MODE : FOLDER_MODE,
      uid: info?.uid ?? 0,
      gid: info?.gid ?? 0,
    });
    await this.#append(header);
  }

  async #file(
    path: string,
    { file, info }: { readonly file: Deno.FsFile; readonly info: Deno.FileInfo },
  ): Promise<PackedFile> {
    const { size } = info;
    await this.#header(path, "file", size, info);
    const reading = new FileReading(path, file, createHash("sha256"));
    const relation = this.#verifier && relationFile(path);
    const damaged: DamagedPage[] = [];
    while (reading.position < size) {
      const room = Math.min(this.#contentRoom(size, reading.position), size - reading.position);
      if (room === 0) {
        await this.#flush();
        continue;
      }
      const at = this.#filled;
      const view = this.#block.subarray(at, at + room);
      reading.fill(view);
      if (relation) damaged.push(...this.#verify(reading, { relation, at, length: room }));
      reading.done(view);
      this.#filled += room;
    }
    await this.#pad(size);
    return {
      ...{ path, size, modifiedAt: info.mtime?.getTime() ?? 0, sha256: reading.hash.digest("hex") },
      inode: info.ino ?? 0,
      bornAt: info.birthtime?.getTime() ?? null,
      ...(damaged.length > 0 && { damaged }),
    };
  }

  /** A part of a page at the end of a file is being written. */
  #verify(
    reading: FileReading,
    { relation, at, length }: {
      readonly relation: RelationFile;
      readonly at: number;
      readonly length: number;
    },
  ): readonly DamagedPage[] {
    const { pageBytes, segmentPages } = this.#setup.pages;
    const { position } = reading;
    return this.#verifier!.verify({
      at,
      count: Math.floor(Math.min(length, reading.end - position) / pageBytes),
      firstBlock: relation.segment * segmentPages + position / pageBytes,
      readAgain: (index, into) => reading.again(position + index * pageBytes, into),
    });
  }

  /** How many bytes of a file fit into the block: all the rest of it, or whole pages. */
  #contentRoom(size: number, position: number): number {
    const { pageBytes } = this.#setup.pages;
    const room = BLOCK_BYTES - this.#filled;
    if (size - position <= room) return room;
    const end = Math.floor((position + room) / pageBytes) * pageBytes;
    return Math.max(0, end - position);
  }

  async #pad(size: number): Promise<void> {
    const missing = (TAR_BLOCK_BYTES - size % TAR_BLOCK_BYTES) % TAR_BLOCK_BYTES;
    if (missing > 0) await this.#append(new Uint8Array(missing));
  }

  /** Bytes that must not be split. */
  async #append(bytes: Bytes): Promise<void> {
    if (this.#filled + bytes.length > BLOCK_BYTES) await this.#flush();
    this.#block.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  async #flush(): Promise<void> {
    const block = this.#block.subarray(0, this.#filled);
    this.#filled = 0;
    if (block.length > 0) await this.#emit(block);
  }
}

/** One file on its way from its first byte to the length that its header promised. */
class FileReading {
  readonly hash: Hash;
  /** Of the next byte. */
  position = 0;
  /** Where the file turned out to end, when it was cut meanwhile. */
  end = Number.POSITIVE_INFINITY;
  readonly #path: string;
  readonly #file: Deno.FsFile;

  constructor(path: string, file: Deno.FsFile, hash: Hash) {
    this.#path = path;
    this.#file = file;
    this.hash = hash;
  }

  /** Zeros stand for what is no longer there: recovery cuts the file again. */
  fill(view: Bytes): void {
    let filled = 0;
    while (filled < view.length && this.end === Number.POSITIVE_INFINITY) {
      const count = this.#read(view.subarray(filled));
      if (count === 0) this.end = this.position + filled;
      filled += count;
    }
    if (filled < view.length) view.fill(0, filled);
  }

  /** They are final. */
  done(view: Bytes): void {
    this.hash.update(view);
    this.position += view.length;
  }

  /** Reads a part again. @returns false when it is no longer there. */
  again(position: number, into: Bytes): boolean {
    const next = this.#file.seekSync(0, Deno.SeekMode.Current);
    this.#file.seekSync(position, Deno.SeekMode.Start);
    let filled = 0;
    while (filled < into.length) {
      const count = this.#read(into.subarray(filled));
      if (count === 0) break;
      filled += count;
    }
    this.#file.seekSync(next, Deno.SeekMode.Start);
    return filled === into.length;
  }

  #read(view: Bytes): number {
    try {
      return this.#file.readSync(view) ?? 0;
    } catch (error) {
      throw cannotRead(this.#path, error);
    }
  }
}

function open(
  path: string,
  { mayBeMissing }: { readonly mayBeMissing: boolean },
): Deno.FsFile | undefined {
  try {
    return Deno.openSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw cannotRead(path, error);
    if (mayBeMissing) return undefined;
    throw new PostgresError(
      `${path} was removed before it could be copied`,
      "raise wal_keep_size, or max_replication_slots so that a slot can keep the WAL",
    );
  }
}
