import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError } from "../../domain/errors.ts";
import { ArchiveBlocks } from "./archive_blocks.ts";
import {
  ArchiveCursor,
  type ArchivedTable,
  type ArchiveEntry,
  type ArchiveHead,
  MORE_BYTES,
  readEntry,
  readHead,
} from "./archive_toc.ts";

/** What a whole archive turned out to be. */
export interface ArchiveFacts {
  /** Undefined when the format is newer than this program knows: only the magic was checked. */
  readonly head: ArchiveHead | undefined;
  /** The statement that creates the database. */
  readonly createDatabase: string | undefined;
  /** For each entry with data: where its offset is written, and where its data begins. */
  readonly data: readonly { readonly offsetAt: number; readonly position: number }[];
  /** The tables whose rows it holds. */
  readonly tables: readonly ArchivedTable[];
}

/**
 * Reads along an archive in pg_dump's custom format and tells whether it is whole: a table of
 * contents to its last entry, then exactly one whole data block for each entry that has data, and
 * nothing behind. Any truncation breaks that.
 */
export class ArchiveCheck {
  readonly #entries: ArchiveEntry[] = [];
  #head: ArchiveHead | undefined;
  #blocks: ArchiveBlocks | undefined;
  #isUnknown = false;
  #createDatabase: string | undefined;
  #pending: Bytes = new Uint8Array();
  #entriesRead = 0;
  /** Bytes before `#pending`. */
  #base = 0;

  /** Whether the table of contents has been read to its end, or cannot be. */
  get hasContents(): boolean {
    return this.#blocks !== undefined || this.#isUnknown;
  }

  /** The head, once it was read. */
  get head(): ArchiveHead | undefined {
    return this.#head;
  }

  /** The statement that creates the database, once the contents were read. */
  get createDatabase(): string | undefined {
    return this.#createDatabase;
  }

  /** The tables whose rows it holds, once the contents were read. */
  get tables(): readonly ArchivedTable[] {
    return this.#entries.flatMap(({ table }) => table ? [table] : []);
  }

  /** @throws {IntegrityError} as soon as the bytes cannot be part of a whole archive. */
  push(bytes: Bytes): void {
    if (this.#isUnknown) return;
    if (this.#blocks) return this.#blocks.push(bytes);
    this.#pending = joined(this.#pending, bytes);
    const cursor = new ArchiveCursor(this.#pending);
    const consumed = this.#readContents(cursor);
    this.#pending = this.#pending.slice(consumed); // a copy: the caller may give its buffer away
    this.#base += consumed;
    if (!this.#head || this.#entriesRead < this.#head.entries) return;
    this.#blocks = new ArchiveBlocks({ intSize: this.#head.intSize, position: this.#base });
    this.#blocks.push(this.#pending);
    this.#pending = new Uint8Array();
  }

  /** @throws {IntegrityError} when the archive is not whole. */
  finish(): ArchiveFacts {
    if (this.#isUnknown) {
      return { head: undefined, createDatabase: undefined, data: [], tables: [] };
    }
    const blocks = this.#blocks;
    if (!blocks) throw new IntegrityError(this.#whatIsMissing());
    blocks.end();
    const data = this.#entries.map(({ id, offsetAt }) => {
      const position = blocks.positions.get(id);
      if (position === undefined) {
        throw new IntegrityError(`the archive has no data for entry ${id} of its contents`);
      }
      return { offsetAt, position };
    });
    if (blocks.positions.size !== data.length) {
      throw new IntegrityError("the archive has data that its table of contents does not name");
    }
    return { head: this.#head, createDatabase: this.#createDatabase, data, tables: this.tables };
  }

  /** @returns how many bytes are done with: up to the last whole entry. */
  #readContents(cursor: ArchiveCursor): number {
    let done = 0;
    try {
      if (!this.#head) {
        this.#head = readHead(cursor);
        this.#isUnknown = this.#head === undefined;
        done = cursor.at;
      }
      const head = this.#head;
      if (!head) return done;
      cursor.intSize = head.intSize;
      for (; this.#entriesRead < head.entries; this.#entriesRead++) {
        const entry = readEntry(cursor, head);
        this.#createDatabase ??= entry.createDatabase;
        if (entry.hasData) {
          this.#entries.push({ ...entry, offsetAt: this.#base + entry.offsetAt });
        }
        done = cursor.at;
      }
    } catch (error) {
      if (error !== MORE_BYTES) throw error;
    }
    return done;
  }

  #whatIsMissing(): string {
    const length = this.#base + this.#pending.length;
    if (length === 0) return "the archive is empty";
    if (!this.#head) return `the archive ends in its head, after ${length} bytes`;
    return `the archive ends in its table of contents, after ${this.#entriesRead} of ` +
      `${this.#head.entries} entries`;
  }
}

function joined(first: Bytes, second: Bytes): Bytes {
  if (first.length === 0) return second;
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
