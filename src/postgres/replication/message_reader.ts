import { type Bytes, MiB } from "../../domain/bytes.ts";
import { PostgresError } from "../../domain/errors.ts";
import type { Channel } from "./channel.ts";

/** One read of the kernel may fill it; no message may be larger. */
const BUFFER_BYTES = 4 * MiB;
/** Of room behind the last byte, below which what is left moves to the front. */
const LEAST_ROOM = MiB;
const HEADER_BYTES = 5;

/**
 * Cuts a connection into messages without copying them: `body()` is a view on the buffer, valid
 * until the next call of `advance()` or `fill()`.
 */
export class MessageReader {
  readonly #channel: Channel;
  readonly #buffer: Bytes = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  #start = 0;
  #end = 0;
  #bodyStart = 0;
  /** The current message's first byte. */
  type = 0;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** The current message behind its length; with `from`, without that many of its first bytes. */
  body(from = 0): Bytes {
    return this.#buffer.subarray(this.#bodyStart + from, this.#start);
  }

  /** The current message's byte at `index`, 0 outside of it. */
  byteAt(index: number): number {
    const at = this.#bodyStart + index;
    return at < this.#start ? this.#buffer[at]! : 0;
  }

  /**
   * Goes to the next message if it is all there.
   *
   * @throws {PostgresError} when its length cannot be one.
   */
  advance(): boolean {
    const there = this.#end - this.#start;
    if (there < HEADER_BYTES) return false;
    const length = this.#view.getUint32(this.#start + 1) + 1;
    if (length < HEADER_BYTES || length > BUFFER_BYTES) {
      throw new PostgresError(
        `a message of ${length} bytes arrived, which PostgreSQL does not send`,
        "is this the port of a PostgreSQL server?",
      );
    }
    if (there < length) return false;
    this.type = this.#buffer[this.#start]!;
    this.#bodyStart = this.#start + HEADER_BYTES;
    this.#start += length;
    return true;
  }

  /** Reads more bytes. @returns false at the end of the connection. */
  async fill(): Promise<boolean> {
    if (this.#start === this.#end) this.#start = this.#end = 0;
    if (this.#buffer.length - this.#end < LEAST_ROOM) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    const count = await this.#channel.read(this.#buffer.subarray(this.#end));
    if (count === null) return false;
    this.#end += count;
    return true;
  }

  /** Goes to the next message. @returns false at the end of the connection. */
  async next(): Promise<boolean> {
    while (!this.advance()) {
      if (!await this.fill()) return false;
    }
    return true;
  }
}
