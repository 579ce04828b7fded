/** The first stage of both directions: from bytes as they come to blocks, one at a time. */
import type { Bytes } from "../domain/bytes.ts";
import { IntegrityError } from "../domain/errors.ts";
import { BLOCK_BYTES } from "./block.ts";
import { BlockReader } from "./block_reader.ts";
import type { CodecSpec, ExpectedForm } from "./codec_port.ts";
import { StoredFormCheck } from "./stored_form_check.ts";

/** One block of a stream, raw or stored. */
export interface StreamBlock {
  readonly bytes: Bytes;
  /** Whether it is all there is: then starting a worker for it would be a waste. */
  readonly alone: boolean;
}

/** Holds one block back until it is known whether another one follows. */
class Outlet {
  #held: Bytes | undefined;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  push(bytes: Bytes, controller: TransformStreamDefaultController<StreamBlock>): void {
    if (this.#held) controller.enqueue({ bytes: this.#held, alone: false });
    this.#held = bytes;
    this.#count += 1;
  }

  end(controller: TransformStreamDefaultController<StreamBlock>): void {
    if (this.#held) controller.enqueue({ bytes: this.#held, alone: this.#count === 1 });
  }
}

/**
 * Cuts bytes into blocks of {@link BLOCK_BYTES}. No bytes at all make one empty block. A chunk that
 * is a block already goes on as it is, its memory with it.
 */
export function cutBlocks(): TransformStream<Bytes, StreamBlock> {
  const outlet = new Outlet();
  let block: Bytes = new Uint8Array(BLOCK_BYTES);
  let filled = 0;
  return new TransformStream<Bytes, StreamBlock>({
    transform(chunk, controller) {
      if (filled === 0 && isBlock(chunk)) return outlet.push(chunk, controller);
      for (let rest = chunk; rest.length > 0;) {
        const part = rest.subarray(0, BLOCK_BYTES - filled);
        block.set(part, filled);
        filled += part.length;
        rest = rest.subarray(part.length);
        if (filled < BLOCK_BYTES) continue;
        outlet.push(block, controller);
        block = new Uint8Array(BLOCK_BYTES);
        filled = 0;
      }
    },
    flush(controller) {
      if (filled > 0 || outlet.count === 0) outlet.push(block.slice(0, filled), controller);
      outlet.end(controller);
    },
  });
}

function isBlock(chunk: Bytes): boolean {
  return chunk.length === BLOCK_BYTES && chunk.buffer.byteLength === BLOCK_BYTES;
}

/** Takes every chunk as the block that it is. No chunk at all makes one empty block. */
export function passBlocks(): TransformStream<Bytes, StreamBlock> {
  const outlet = new Outlet();
  return new TransformStream<Bytes, StreamBlock>({
    transform(chunk, controller) {
      if (chunk.length > 0) outlet.push(chunk, controller);
    },
    flush(controller) {
      if (outlet.count === 0) outlet.push(new Uint8Array(0), controller);
      outlet.end(controller);
    },
  });
}

/** Splits stored bytes into whole blocks and compares the object as a whole with `expected`. */
export function splitBlocks(
  algorithm: CodecSpec["algorithm"],
  expected?: ExpectedForm,
): TransformStream<Bytes, StreamBlock> {
  const outlet = new Outlet();
  const reader = new BlockReader(algorithm);
  const check = new StoredFormCheck(expected);
  return new TransformStream<Bytes, StreamBlock>({
    transform(chunk, controller) {
      check.stored(chunk);
      for (const block of reader.push(chunk)) {
        check.block(block);
        outlet.push(block.bytes, controller);
      }
    },
    flush(controller) {
      reader.end();
      if (outlet.count === 0) throw new IntegrityError("the object is empty");
      check.end();
      outlet.end(controller);
    },
  });
}
