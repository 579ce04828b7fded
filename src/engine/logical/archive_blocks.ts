import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError } from "../../domain/errors.ts";

const BLOCK_DATA = 1;
const BLOCK_LARGE_OBJECTS = 3;

/** What the next field in the data part of an archive is. */
type Awaited = "block" | "large object" | "piece";

/**
 * Walks over the data part of an archive in custom format without looking into the data: blocks
 * (kind, id), in them pieces (length, bytes) up to a length of 0; a block of large objects has
 * such a row of pieces for each object, up to an OID of 0. Source: PostgreSQL,
 * src/bin/pg_dump/pg_backup_custom.c.
 */
export class ArchiveBlocks {
  /** Where the block of each id begins. */
  readonly positions = new Map<number, number>();
  readonly #intSize: number;
  readonly #field: Bytes;
  #filled = 0;
  #awaited: Awaited = "block";
  #inLargeObjects = false;
  /** Bytes of the current piece that are still to come. */
  #skip = 0;
  #position: number;
  #blockAt = 0;

  /** @param position of the first block in the archive. */
  constructor({ intSize, position }: { readonly intSize: number; readonly position: number }) {
    this.#intSize = intSize;
    this.#position = position;
    this.#field = new Uint8Array(intSize + 2);
  }

  /** @throws {IntegrityError} where a block should begin and none does. */
  push(bytes: Bytes): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, bytes.length - at);
        this.#skip -= step;
        at += step;
      } else if (this.#awaited === "piece" && this.#filled === 0 && this.#intSize === 4) {
        at = this.#hop(bytes, at);
      } else {
        at = this.#collect(bytes, at);
      }
    }
    this.#position += bytes.length;
  }

  /** @throws {IntegrityError} when the archive ended inside a block. */
  end(): void {
    if (this.#awaited === "block" && this.#filled === 0) return;
    throw new IntegrityError(`the archive is cut short at byte ${this.#position}`);
  }

  /** The fast lane: from length to length, as long as whole ones are at hand. */
  #hop(bytes: Bytes, start: number): number {
    const end = bytes.length;
    let at = start;
    while (end - at > 4) {
      const length = bytes[at + 1]! | bytes[at + 2]! << 8 | bytes[at + 3]! << 16 |
        bytes[at + 4]! << 24;
      if (length <= 0 || bytes[at] !== 0) return this.#collect(bytes, at);
      at += 5 + length;
    }
    if (at > end) {
      this.#skip = at - end;
      return end;
    }
    return at < end ? this.#collect(bytes, at) : end;
  }

  /** The slow lane: a field that is special, or that lies across two pushes. */
  #collect(bytes: Bytes, at: number): number {
    const wanted = 1 + this.#intSize + (this.#awaited === "block" ? 1 : 0);
    const part = bytes.subarray(at, at + wanted - this.#filled);
    if (this.#awaited === "block" && this.#filled === 0) this.#blockAt = this.#position + at;
    this.#field.set(part, this.#filled);
    this.#filled += part.length;
    if (this.#filled === wanted) {
      this.#filled = 0;
      this.#take();
    }
    return at + part.length;
  }

  #take(): void {
    if (this.#awaited === "block") return this.#takeBlock();
    const value = this.#int(0);
    if (this.#awaited === "large object") {
      this.#awaited = value === 0 ? "block" : "piece";
      return;
    }
    if (value < 0) throw this.#broken(`a piece of ${value} bytes`);
    this.#skip = value;
    if (value === 0) this.#awaited = this.#inLargeObjects ? "large object" : "block";
  }

  #takeBlock(): void {
    const kind = this.#field[0];
    const id = this.#int(1);
    if (kind !== BLOCK_DATA && kind !== BLOCK_LARGE_OBJECTS) {
      throw this.#broken(`a block of kind ${kind}`);
    }
    if (this.positions.has(id)) throw this.#broken(`a second block of entry ${id}`);
    this.positions.set(id, this.#blockAt);
    this.#inLargeObjects = kind === BLOCK_LARGE_OBJECTS;
    this.#awaited = this.#inLargeObjects ? "large object" : "piece";
  }

  #int(at: number): number {
    let value = 0;
    for (let index = 0; index < this.#intSize; index++) {
      value += this.#field[at + 1 + index]! * 2 ** (8 * index);
    }
    return this.#field[at] === 0 ? value : -value;
  }

  #broken(what: string): IntegrityError {
    return new IntegrityError(`the archive has ${what} at byte ${this.#blockAt} or behind it`);
  }
}
