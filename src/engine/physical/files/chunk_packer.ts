import { createHash } from "node:crypto";
import { BLOCK_BYTES } from "../../../codec/codec.ts";
import { type Bytes, KiB } from "../../../domain/bytes.ts";
import { PostgresError } from "../../../domain/errors.ts";
import {
  type DamagedPage,
  PageVerifier,
  type RelationFile,
  relationFile,
} from "../../../postgres/postgres.ts";
import { incrementalFileBytes, incrementalHeader } from "../incremental/incremental_header.ts";
import { incrementalName } from "../incremental/incremental_name.ts";
import { tarHeader } from "../tar_header.ts";
import type { ChunkEntry, FileSetup, PackedFile } from "./file_messages.ts";
import { FileReading } from "./file_reading.ts";
import { IncrementScan } from "./increment_scan.ts";
import { MemberWriter } from "./member_writer.ts";

/** WebAssembly's unit of memory. */
const WASM_PAGE_BYTES = 64 * KiB;
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/**
 * Reads files of the data directory into the blocks of a chunk: a tar whose blocks never split a
 * page. Pages are verified and files hashed where they lie, in a buffer that never moves.
 */
export class ChunkPacker {
  readonly #setup: FileSetup;
  readonly #writer: MemberWriter;
  readonly #verifier: PageVerifier | undefined;
  readonly #scan: IncrementScan | undefined;
  #files: PackedFile[] = [];

  /** @param emit gets each full block; the view is valid until its promise settles. */
  constructor(setup: FileSetup, emit: (block: Bytes) => Promise<void>) {
    this.#setup = setup;
    const { pages, since } = setup;
    const buffers = since === undefined ? 1 : 2;
    const initial = buffers * BLOCK_BYTES / WASM_PAGE_BYTES;
    const memory = new WebAssembly.Memory({ initial });
    const buffer = memory.buffer as ArrayBuffer;
    this.#writer = new MemberWriter(new Uint8Array(buffer, 0, BLOCK_BYTES), {
      pageBytes: pages.pageBytes,
      emit,
    });
    this.#verifier = pages.checksums ? new PageVerifier(memory, pages.pageBytes) : undefined;
    if (since === undefined) return;
    const aside = new Uint8Array(buffer, BLOCK_BYTES, BLOCK_BYTES);
    this.#scan = new IncrementScan(aside, { since, pages, verifier: this.#verifier });
  }

  /** Appends a member. @throws {PostgresError} when a file cannot be read. */
  async add(entry: ChunkEntry): Promise<void> {
    if (entry.type === "folder") return await this.#begin(entry.path, { type: "directory" });
    if (entry.type === "content") return await this.#content(entry);
    const path = `${this.#setup.dataDirectory}/${entry.path}`;
    const relation = relationFile(entry.path);
    using file = FileReading.open(path, {
      mayBeMissing: entry.type === "file",
      // The backup's WAL makes the other one anew. Of what is no relation there is no such WAL, and
      // an increment leaves pages out because the file is the same.
      mayBeReplaced: relation !== undefined && !this.#scan,
    });
    if (!file?.info.isFile) return; // it may be another thing by now
    if (entry.type === "wal") return await this.#wal(file, entry);
    const blocks = relation && this.#scan?.changed(file, { relation, known: entry.known });
    const packed = relation && blocks
      ? await this.#increment(file, { path: entry.path, relation, blocks })
      : await this.#whole(file, { path: entry.path, relation });
    this.#files.push({ ...packed, ...identity(file.info, { path: entry.path, packed }) });
  }

  /** Ends the tar. @returns the files that are in it. */
  async finish(): Promise<readonly PackedFile[]> {
    await this.#writer.finish();
    const files = this.#files;
    this.#files = [];
    return files;
  }

  async #wal(file: FileReading, entry: Extract<ChunkEntry, { type: "wal" }>): Promise<void> {
    const { info: { size }, path } = file;
    if (entry.size !== undefined && entry.size !== size) {
      throw new PostgresError(`${path} has ${size} bytes, not ${entry.size}`);
    }
    await this.#whole(file, { path: entry.path, relation: undefined });
  }

  async #content(
    { path, bytes, modifiedAt, listed }: Extract<ChunkEntry, { type: "content" }>,
  ): Promise<void> {
    await this.#begin(path, { type: "file", size: bytes.length });
    await this.#writer.bytes(bytes);
    await this.#writer.pad();
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    if (listed) this.#files.push({ path, size: bytes.length, modifiedAt, sha256 });
  }

  async #begin(
    path: string,
    { type, size = 0, info }: {
      readonly type: "file" | "directory";
      readonly size?: number;
      readonly info?: Deno.FileInfo;
    },
  ): Promise<void> {
    const header = tarHeader({
      ...{ path, type, size, modifiedAt: info?.mtime?.getTime() ?? 0 },
      mode: type === "file" ? FILE_MODE : FOLDER_MODE,
      uid: info?.uid ?? 0,
      gid: info?.gid ?? 0,
    });
    await this.#writer.begin(header, size);
  }

  async #whole(
    file: FileReading,
    { path, relation }: { readonly path: string; readonly relation: RelationFile | undefined },
  ): Promise<PackedFile> {
    const { info } = file;
    const hash = createHash("sha256");
    const damaged: DamagedPage[] = [];
    await this.#begin(path, { type: "file", size: info.size, info });
    await this.#writer.fill(info.size, ({ view, at, position }) => {
      const present = file.read(position, view);
      if (relation) damaged.push(...this.#verify(file, { relation, at, position, present }));
      hash.update(view);
    });
    await this.#writer.pad();
    return described(path, { info, size: info.size, sha256: hash.digest("hex"), damaged });
  }

  /** The pages that changed, in PostgreSQL's format. */
  async #increment(
    file: FileReading,
    { path, relation, blocks }: {
      readonly path: string;
      readonly relation: RelationFile;
      readonly blocks: Uint32Array;
    },
  ): Promise<PackedFile> {
    const { info } = file;
    const { pageBytes } = this.#setup.pages;
    const size = incrementalFileBytes(blocks.length);
    const head = incrementalHeader(blocks, info.size / pageBytes);
    const hash = createHash("sha256").update(head);
    const damaged: DamagedPage[] = [];
    const name = incrementalName(path);
    await this.#begin(name, { type: "file", size, info });
    await this.#writer.bytes(head);
    for (let from = 0; from < blocks.length;) {
      const count = runLength(blocks, from);
      const start = blocks[from]! * pageBytes;
      await this.#writer.fill(count * pageBytes, ({ view, at, position: offset }) => {
        const position = start + offset;
        const present = file.read(position, view);
        damaged.push(...this.#verify(file, { relation, at, position, present }));
        hash.update(view);
      });
      from += count;
    }
    await this.#writer.pad();
    return described(name, { info, size, sha256: hash.digest("hex"), damaged });
  }

  /** A part of a page at the end of a file is being written. */
  #verify(
    file: FileReading,
    { relation, at, position, present }: {
      readonly relation: RelationFile;
      /** In the memory. */
      readonly at: number;
      /** In the file. */
      readonly position: number;
      /** Bytes of the file in the memory. */
      readonly present: number;
    },
  ): readonly DamagedPage[] {
    if (!this.#verifier) return [];
    const { pageBytes, segmentPages } = this.#setup.pages;
    return this.#verifier.verify({
      at,
      count: Math.floor(present / pageBytes),
      firstBlock: relation.segment * segmentPages + position / pageBytes,
      readAgain: (index, into) => file.again(position + index * pageBytes, into),
    });
  }
}

function described(
  path: string,
  { info, size, sha256, damaged }: {
    readonly info: Deno.FileInfo;
    readonly size: number;
    readonly sha256: string;
    readonly damaged: readonly DamagedPage[];
  },
): PackedFile {
  const modifiedAt = info.mtime?.getTime() ?? 0;
  return { path, size, modifiedAt, sha256, ...(damaged.length > 0 && { damaged }) };
}

/** A damaged page may have been mended by hand, without a new LSN: such a file is copied again. */
function identity(
  { size, ino, birthtime }: Deno.FileInfo,
  { path, packed }: { readonly path: string; readonly packed: PackedFile },
): Pick<PackedFile, "identity"> {
  if (ino === null || birthtime === null || packed.damaged) return {};
  if (relationFile(path)?.fork !== "main") return {};
  return { identity: { path, size, inode: ino, bornAt: birthtime.getTime() } };
}

/** How many numbers from `from` on follow each other. */
function runLength(blocks: Uint32Array, from: number): number {
  let end = from + 1;
  while (end < blocks.length && blocks[end] === blocks[end - 1]! + 1) end += 1;
  return end - from;
}
