import { BLOCK_BYTES } from "../../codec/codec.ts";
import type { Bytes } from "../../domain/bytes.ts";

/**
 * A program's output in pieces of {@link BLOCK_BYTES}, each in a buffer of its own; the last one is shorter. A
 * pipe gives a few KiB at a time, and a buffer, a promise and a step of each stream for every one
 * of them would cost more than the work itself; so they are read straight into one buffer.
 *
 * @param source a stream of bytes, as `Deno.ChildProcess` has.
 */
export function gatherOutput(source: ReadableStream<Bytes>): ReadableStream<Bytes> {
  const reader = source.getReader({ mode: "byob" });
  return new ReadableStream<Bytes>({
    async pull(controller) {
      let piece: Bytes = new Uint8Array(BLOCK_BYTES);
      let filled = 0;
      while (filled < BLOCK_BYTES) {
        const { value, done } = await reader.read(piece.subarray(filled));
        if (value) piece = new Uint8Array(value.buffer); // the buffer moved to and fro
        if (done) {
          if (filled > 0) controller.enqueue(piece.slice(0, filled));
          return controller.close();
        }
        filled += value.length;
      }
      controller.enqueue(piece);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
