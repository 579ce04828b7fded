/**
 * The head and table of contents of pg_dump's custom format, versions 1.12 (PostgreSQL 9.0) to
 * 1.16 (17 and 18). Source of the form: PostgreSQL, src/bin/pg_dump/pg_backup_archiver.c, ReadHead
 * and ReadToc, and pg_backup_custom.c.
 *
 * @module
 */
import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError } from "../../domain/errors.ts";

/** The newest minor version of the format whose form is known here. */
export const KNOWN_MINOR = 16;
const OLDEST_MINOR = 12;
const CUSTOM_FORMAT = 1;
const MAGIC = "PGDMP";
/** No name, statement or count in a table of contents is longer. */
const MAX_INT = 2 ** 30;

/** The head of an archive. */
export interface ArchiveHead {
  /** 14 of version 1.14. */
  readonly minor: number;
  /** Bytes of an integer, besides its sign byte. */
  readonly intSize: number;
  /** Bytes of a file offset. */
  readonly offSize: number;
  /** The database that was dumped. */
  readonly database: string | undefined;
  /** What pg_dump said it is: `17.2 (Debian 17.2-1)`. */
  readonly dumpVersion: string | undefined;
  /** Entries of the table of contents. */
  readonly entries: number;
}

/** What is needed of one entry. */
export interface ArchiveEntry {
  readonly id: number;
  /** Whether a data block belongs to it. */
  readonly hasData: boolean;
  /** Where its data's offset is written, relative to the cursor's first byte. */
  readonly offsetAt: number;
  /** The statement of the entry that creates the database. */
  readonly createDatabase: string | undefined;
  /** The table whose rows its data is. */
  readonly table: ArchivedTable | undefined;
}

/** A table, as the table of contents names it. */
export interface ArchivedTable {
  readonly schema: string;
  readonly name: string;
}

/** Thrown when the bytes at hand end too early; read again with more. */
export const MORE_BYTES = Symbol("more bytes are needed");

/** Reads the fields of an archive's head. */
export class ArchiveCursor {
  at = 0;
  intSize = 4;

  constructor(readonly bytes: Bytes) {}

  byte(): number {
    const value = this.bytes[this.at];
    if (value === undefined) throw MORE_BYTES;
    this.at += 1;
    return value;
  }

  /** A sign byte, then the absolute value, least byte first. */
  int(): number {
    const negative = this.byte() !== 0;
    let value = 0;
    for (let index = 0; index < this.intSize; index++) value += this.byte() * 2 ** (8 * index);
    if (value > MAX_INT) throw new IntegrityError(`a field of the archive's head is ${value}`);
    return negative ? -value : value;
  }

  skip(length: number): void {
    if (this.at + length > this.bytes.length) throw MORE_BYTES;
    this.at += length;
  }

  /** @returns undefined for a null text. */
  text(): string | undefined {
    const length = this.int();
    if (length < 0) return undefined;
    const start = this.at;
    this.skip(length);
    return new TextDecoder().decode(this.bytes.subarray(start, this.at));
  }

  /** @returns whether there was one that is not null. */
  skipText(): boolean {
    const length = this.int();
    if (length < 0) return false;
    this.skip(length);
    return true;
  }
}

/**
 * Reads the head.
 *
 * @returns undefined when the format is newer than this program knows.
 * @throws {IntegrityError} when this is no archive in custom format.
 */
export function readHead(cursor: ArchiveCursor): ArchiveHead | undefined {
  for (const letter of MAGIC) {
    if (cursor.byte() !== letter.charCodeAt(0)) throw notCustom("it does not begin with PGDMP");
  }
  const [major, minor] = [cursor.byte(), cursor.byte()];
  cursor.skip(1); // revision
  if (major > 1 || minor > KNOWN_MINOR) return undefined;
  if (major < 1 || minor < OLDEST_MINOR) throw notCustom(`it is of version ${major}.${minor}`);
  const [intSize, offSize, format] = [cursor.byte(), cursor.byte(), cursor.byte()];
  if (intSize < 1 || intSize > 8 || offSize < 1 || offSize > 8) {
    throw notCustom(`its integers have ${intSize} bytes and its offsets ${offSize}`);
  }
  if (format !== CUSTOM_FORMAT) throw notCustom(`its format is ${format}`);
  cursor.intSize = intSize;
  if (minor >= 15) cursor.byte(); // compression
  else cursor.int();
  for (let part = 0; part < 7; part++) cursor.int(); // time of the dump
  const database = cursor.text();
  cursor.skipText(); // version of the server
  const dumpVersion = cursor.text();
  const entries = cursor.int();
  if (entries < 0) throw notCustom(`its table of contents has ${entries} entries`);
  return { minor, intSize, offSize, database, dumpVersion, entries };
}

/** Reads one entry of the table of contents. */
export function readEntry(cursor: ArchiveCursor, { minor, offSize }: ArchiveHead): ArchiveEntry {
  const id = cursor.int();
  const hasData = cursor.int() !== 0;
  for (let text = 0; text < 2; text++) cursor.skipText(); // table's OID, OID
  const tag = cursor.text() ?? "";
  const kind = cursor.text();
  cursor.int(); // section
  const createDatabase = kind === "DATABASE" ? cursor.text() : void cursor.skipText();
  for (let text = 0; text < 2; text++) cursor.skipText(); // drop, copy
  const schema = cursor.text() ?? "";
  cursor.skipText(); // tablespace
  if (minor >= 14) cursor.skipText(); // access method
  if (minor >= 16) cursor.int(); // relkind
  cursor.skipText(); // owner
  cursor.skipText(); // WITH OIDS
  while (cursor.skipText()); // dependencies
  const offsetAt = cursor.at;
  cursor.skip(1 + offSize);
  const table = kind === "TABLE DATA" ? { schema, name: tag } : undefined;
  return { id, hasData, offsetAt, createDatabase, table };
}

function notCustom(why: string): IntegrityError {
  return new IntegrityError(`this is no archive in pg_dump's custom format: ${why}`);
}
