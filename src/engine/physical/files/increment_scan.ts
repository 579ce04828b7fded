import type { Bytes } from "../../../domain/bytes.ts";
import type { Lsn } from "../../../domain/lsn.ts";
import {
  changedPages,
  type PageLayout,
  type PageVerifier,
  type RelationFile,
} from "../../../postgres/postgres.ts";
import type { FileIdentity } from "./file_messages.ts";
import type { FileReading } from "./file_reading.ts";

/** Above this share of changed pages a whole file is smaller to handle and quicker to restore. */
const MOST_CHANGED = 0.6;

/** What a scan works with. */
export interface ScanOptions {
  /** Where the parent began. */
  readonly since: Lsn;
  readonly pages: PageLayout;
  /** Absent when pages have no checksums. */
  readonly verifier: PageVerifier | undefined;
}

/**
 * Finds the pages of a file that changed since the parent, by their LSNs. Every page of a relation's
 * main fork has the LSN of its last change that the WAL knows, and a file that is still the same one
 * (path, inode and time of birth) holds no page that came from elsewhere. Free space and visibility
 * maps change without an LSN and are never scanned.
 */
export class IncrementScan {
  readonly #buffer: Bytes;
  readonly #options: ScanOptions;

  /** @param buffer in the verifier's memory. */
  constructor(buffer: Bytes, options: ScanOptions) {
    this.#buffer = buffer;
    this.#options = options;
  }

  /** Numbers within the file, ascending; undefined when all of it is to be copied. */
  changed(
    file: FileReading,
    { relation, known }: {
      readonly relation: RelationFile;
      readonly known: FileIdentity | undefined;
    },
  ): Uint32Array | undefined {
    const { info: { size } } = file;
    const { pages: { pageBytes } } = this.#options;
    if (relation.fork !== "main" || size % pageBytes !== 0 || !isSame(file.info, known)) {
      return undefined;
    }
    const most = Math.floor(size / pageBytes * MOST_CHANGED);
    const blocks: number[] = [];
    for (let position = 0; position < size; position += this.#buffer.length) {
      const view = this.#buffer.subarray(0, Math.min(this.#buffer.length, size - position));
      file.read(position, view);
      const first = position / pageBytes;
      for (const index of this.#suspects(view, { relation, first })) blocks.push(first + index);
      if (blocks.length > most) return undefined;
    }
    return withGrowth(blocks, { from: Math.floor(known.size / pageBytes), to: size / pageBytes });
  }

  /** Pages that are later than the parent, and those that are not as they should be. */
  #suspects(
    view: Bytes,
    { relation, first }: { readonly relation: RelationFile; readonly first: number },
  ): Iterable<number> {
    const { since, pages: { pageBytes, segmentPages }, verifier } = this.#options;
    const changed = changedPages(view, { since, pageBytes });
    if (!verifier) return changed;
    const damaged = verifier.wrong({
      at: view.byteOffset,
      count: view.length / pageBytes,
      firstBlock: relation.segment * segmentPages + first,
    });
    if (damaged.length === 0) return changed;
    return [...new Set([...changed, ...damaged])].sort((one, other) => one - other);
  }
}

function isSame(info: Deno.FileInfo, known: FileIdentity | undefined): known is FileIdentity {
  return known !== undefined && info.ino === known.inode &&
    info.birthtime?.getTime() === known.bornAt;
}

/** The parent has nothing behind its own end, whatever the pages there say. */
function withGrowth(
  blocks: readonly number[],
  { from, to }: { readonly from: number; readonly to: number },
): Uint32Array {
  const before = blocks.filter((block) => block < from);
  const grown = Array.from({ length: Math.max(0, to - from) }, (_, index) => from + index);
  return Uint32Array.from([...before, ...grown]);
}
