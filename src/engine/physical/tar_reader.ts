import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError } from "../../domain/errors.ts";
import type { TarMember } from "./tar_member.ts";
import {
  extendedHeaderBytes,
  extendedPath,
  parseTarHeader,
  TAR_BLOCK_BYTES,
} from "./tar_member.ts";

/** Hears of the members of a tar, in order. What it throws stops the reader. */
export interface TarHandler {
  /** A member begins. Both arguments may be kept. */
  begin(member: TarMember, header: Bytes): void;
  /** The next bytes of its content. The view is valid only during the call. */
  content(bytes: Bytes): void;
  /** The member is complete. */
  end(): void;
}

/** Reads a tar that comes in pieces of any length. */
export class TarReader {
  readonly #handler: TarHandler;
  readonly #header = new Uint8Array(TAR_BLOCK_BYTES);
  #headerFilled = 0;
  /** Bytes of content and of padding that are still to come for the member under way. */
  #content = 0;
  #padding = 0;
  #current: TarMember | undefined;
  #zeroBlocks = 0;
  readonly #extended: boolean;
  /** An extended header under way, and what one said of the next member. */
  #extension: Bytes | undefined;
  #path: string | undefined;

  /** @param options.extended whether headers may have long paths in `pax` extensions. */
  constructor(handler: TarHandler, { extended = false }: { readonly extended?: boolean } = {}) {
    this.#handler = handler;
    this.#extended = extended;
  }

  /** How many blocks of zeros, which end an archive, were seen. */
  get zeroBlocks(): number {
    return this.#zeroBlocks;
  }

  /** The name of the member under way, for messages. */
  get current(): string | undefined {
    return this.#current?.name;
  }

  /** @throws {IntegrityError} at the first byte that is wrong. */
  push(bytes: Bytes): void {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#content > 0) rest = this.#takeContent(rest);
      else if (this.#padding > 0) rest = this.#takePadding(rest);
      else rest = this.#takeHeader(rest);
    }
  }

  /** @throws {IntegrityError} when the archive ended inside a member. */
  finish(): void {
    if (this.#current) {
      throw new IntegrityError(
        `the tar ends inside ${this.#current.name}, ${this.#content} bytes before its end`,
      );
    }
    if (this.#headerFilled > 0 || this.#extension || this.#path !== undefined) {
      throw new IntegrityError("the tar ends inside a header");
    }
  }

  #takeContent(bytes: Bytes): Bytes {
    const part = bytes.subarray(0, this.#content);
    if (this.#extension) this.#extension.set(part, this.#extension.length - this.#content);
    else this.#handler.content(part);
    this.#content -= part.length;
    if (this.#content === 0 && this.#padding === 0) this.#endMember();
    return bytes.subarray(part.length);
  }

  #takePadding(bytes: Bytes): Bytes {
    const length = Math.min(bytes.length, this.#padding);
    this.#padding -= length;
    if (this.#padding === 0) this.#endMember();
    return bytes.subarray(length);
  }

  #takeHeader(bytes: Bytes): Bytes {
    const part = bytes.subarray(0, TAR_BLOCK_BYTES - this.#headerFilled);
    this.#header.set(part, this.#headerFilled);
    this.#headerFilled += part.length;
    if (this.#headerFilled === TAR_BLOCK_BYTES) this.#beginMember();
    return bytes.subarray(part.length);
  }

  #beginMember(): void {
    this.#headerFilled = 0;
    if (this.#extended && this.#beginExtension()) return;
    const parsed = parseTarHeader(this.#header);
    const member = parsed && this.#path !== undefined ? { ...parsed, name: this.#path } : parsed;
    if (!member) {
      this.#zeroBlocks += 1;
      return;
    }
    if (this.#zeroBlocks > 0) {
      throw new IntegrityError(`tar member ${member.name} stands behind the archive's end`);
    }
    this.#path = undefined;
    this.#current = member;
    this.#expect(member.size);
    this.#handler.begin(member, this.#header.slice());
    if (member.size === 0) this.#endMember();
  }

  /** Whether the header was that of an extension. */
  #beginExtension(): boolean {
    const length = extendedHeaderBytes(this.#header);
    if (length === undefined) return false;
    if (this.#path !== undefined) throw new IntegrityError("a tar member is extended twice");
    this.#extension = new Uint8Array(length);
    this.#expect(length);
    return true;
  }

  #expect(length: number): void {
    this.#content = length;
    this.#padding = (TAR_BLOCK_BYTES - length % TAR_BLOCK_BYTES) % TAR_BLOCK_BYTES;
  }

  #endMember(): void {
    if (this.#extension) {
      this.#path = extendedPath(this.#extension).replace(/\/$/, "");
      this.#extension = undefined;
      return;
    }
    this.#current = undefined;
    this.#handler.end();
  }
}
