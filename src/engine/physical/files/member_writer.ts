import type { Bytes } from "../../../domain/bytes.ts";
import { TAR_BLOCK_BYTES } from "../tar_member.ts";

/** A part of the block that is to be filled. */
export interface Gap {
  readonly view: Bytes;
  /** Where it begins in the block. */
  readonly at: number;
  /** Of its first byte, counted from where filling began. */
  readonly position: number;
}

/** Lays the members of a tar into blocks that never split a page of a file. */
export class MemberWriter {
  readonly #block: Bytes;
  readonly #pageBytes: number;
  readonly #emit: (block: Bytes) => Promise<void>;
  #filled = 0;
  /** Of the member under way. */
  #size = 0;
  #position = 0;

  /** @param options.emit gets each full block; the view is valid until its promise settles. */
  constructor(
    block: Bytes,
    { pageBytes, emit }: {
      readonly pageBytes: number;
      readonly emit: (block: Bytes) => Promise<void>;
    },
  ) {
    this.#block = block;
    this.#pageBytes = pageBytes;
    this.#emit = emit;
  }

  /** A member begins; so many bytes of content must follow. */
  async begin(header: Bytes, size: number): Promise<void> {
    await this.#append(header);
    this.#size = size;
    this.#position = 0;
  }

  /** Content that is there already. */
  async bytes(bytes: Bytes): Promise<void> {
    await this.fill(bytes.length, ({ view, position }) => {
      view.set(bytes.subarray(position, position + view.length));
    });
  }

  /** Content that `read` puts where it belongs, piece by piece. */
  async fill(length: number, read: (gap: Gap) => void): Promise<void> {
    for (let position = 0; position < length;) {
      const room = Math.min(this.#room(), length - position);
      if (room === 0) {
        await this.#flush();
        continue;
      }
      const at = this.#filled;
      read({ view: this.#block.subarray(at, at + room), at, position });
      this.#filled += room;
      this.#position += room;
      position += room;
    }
  }

  /** The member is complete. */
  async pad(): Promise<void> {
    const missing = (TAR_BLOCK_BYTES - this.#size % TAR_BLOCK_BYTES) % TAR_BLOCK_BYTES;
    if (missing > 0) await this.#append(new Uint8Array(missing));
  }

  /** Ends the tar: two blocks of zeros. */
  async finish(): Promise<void> {
    await this.#append(new Uint8Array(2 * TAR_BLOCK_BYTES));
    await this.#flush();
  }

  /** How many bytes of the member fit into the block: all the rest of it, or whole pages. */
  #room(): number {
    const room = this.#block.length - this.#filled;
    if (this.#size - this.#position <= room) return room;
    const end = Math.floor((this.#position + room) / this.#pageBytes) * this.#pageBytes;
    return Math.max(0, end - this.#position);
  }

  /** Bytes that must not be split. */
  async #append(bytes: Bytes): Promise<void> {
    if (this.#filled + bytes.length > this.#block.length) await this.#flush();
    this.#block.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  async #flush(): Promise<void> {
    const block = this.#block.subarray(0, this.#filled);
    this.#filled = 0;
    if (block.length > 0) await this.#emit(block);
  }
}
