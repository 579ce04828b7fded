import type { Bytes } from "../../domain/bytes.ts";
import type { Lsn } from "../../domain/lsn.ts";
import { pageChecksum } from "./page_checksum.ts";
import { type PageKernel, pageKernel } from "./page_kernel.ts";

/** A page whose checksum is wrong however often it is read. */
export interface DamagedPage {
  /** Its number in the relation, all segments counted. */
  readonly block: number;
  /** What its header says, which may be wrong as well. */
  readonly lsn: Lsn;
}

/** Pages of one relation that lie behind each other in the memory. */
export interface PageRun {
  /** Where the first one begins. */
  readonly at: number;
  /** How many. */
  readonly count: number;
  /** The number of the first one in the relation. */
  readonly firstBlock: number;
  /**
   * Reads page `index` of the run again.
   *
   * @returns false when it is no longer there.
   */
  readonly readAgain: (index: number, into: Bytes) => boolean;
}

/** How often a page is read again before it is blamed, with so many milliseconds in between. */
const READS = 3;
const PAUSE_MS = 1;
const PD_UPPER = 14;

/**
 * Verifies the checksums of pages that a running server may be writing meanwhile. A page that
 * differs from one reading to the next is being written: recovery replaces it by the image that the
 * WAL of the backup has of it (full_page_writes is in force during a backup).
 */
export class PageVerifier {
  readonly #memory: WebAssembly.Memory;
  readonly #pageBytes: number;
  readonly #kernel: PageKernel;
  readonly #sleeper = new Int32Array(new SharedArrayBuffer(4));

  /**
   * Makes a kernel for this memory.
   *
   * @param memory where the pages lie; not to be grown any more.
   */
  constructor(memory: WebAssembly.Memory, pageBytes: number) {
    this.#memory = memory;
    this.#pageBytes = pageBytes;
    this.#kernel = pageKernel(memory);
  }

  /** Indexes of pages that are not right in the memory: new, being written, or damaged. */
  wrong({ at, count, firstBlock }: Omit<PageRun, "readAgain">): readonly number[] {
    const found: number[] = [];
    for (let index = 0; index < count; index++) {
      const start = at + index * this.#pageBytes;
      index += this.#kernel.check(start, count - index, firstBlock + index, this.#pageBytes);
      if (index < count) found.push(index);
    }
    return found;
  }

  /** The damaged ones. Those that a later reading found whole are replaced in the memory. */
  verify(run: PageRun): readonly DamagedPage[] {
    const damaged: DamagedPage[] = [];
    for (let index = 0; index < run.count;) {
      index += this.#kernel.check(
        run.at + index * this.#pageBytes,
        run.count - index,
        run.firstBlock + index,
        this.#pageBytes,
      );
      if (index >= run.count) break;
      const found = this.#inspect(run, index);
      if (found) damaged.push(found);
      index += 1;
    }
    return damaged;
  }

  #inspect(run: PageRun, index: number): DamagedPage | undefined {
    const page = this.#page(run.at + index * this.#pageBytes);
    const block = run.firstBlock + index;
    if (isSound(page, block)) return undefined;
    const again = new Uint8Array(this.#pageBytes);
    for (let reading = 0; reading < READS; reading++) {
      Atomics.wait(this.#sleeper, 0, 0, PAUSE_MS);
      if (!run.readAgain(index, again)) return undefined;
      const changed = !equal(page, again);
      if (changed) page.set(again);
      if (changed || isSound(again, block)) return undefined;
    }
    return { block, lsn: pageLsn(page) };
  }

  #page(at: number): Bytes {
    return new Uint8Array(this.#memory.buffer as ArrayBuffer, at, this.#pageBytes);
  }
}

/** A new page, all zeros, has no checksum (PageIsVerified in src/backend/storage/page/bufpage.c). */
function isSound(page: Bytes, block: number): boolean {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  if (view.getUint16(PD_UPPER, true) === 0) return isZero(page);
  return pageChecksum(page, block) === view.getUint16(8, true);
}

/** A loop, not every(): a relation may have gigabytes of new pages. */
function isZero(page: Bytes): boolean {
  const words = new Uint32Array(page.buffer, page.byteOffset, page.length >>> 2);
  for (let index = 0; index < words.length; index++) if (words[index] !== 0) return false;
  return true;
}

/** Two words, the higher first, each in the server's byte order. */
function pageLsn(page: Bytes): Lsn {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  return (BigInt(view.getUint32(0, true)) << 32n) | BigInt(view.getUint32(4, true));
}

function equal(one: Bytes, other: Bytes): boolean {
  return one.every((byte, index) => byte === other[index]);
}
