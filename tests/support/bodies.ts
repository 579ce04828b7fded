/** Bodies for tests of stores: content that can be told apart, streams that fail or hang. */
import type { Bytes } from "../../src/domain/bytes.ts";

/** `length` bytes that depend on `seed` and do not repeat with any part size. */
export function content(length: number, seed = 1): Bytes {
  const bytes = new Uint8Array(length);
  const words = new Uint32Array(bytes.buffer, 0, length >> 2);
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let at = 0; at < words.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  for (let at = words.length * 4; at < length; at++) bytes[at] = (at * 31 + seed) & 255;
  return bytes;
}

/** UTF-8 bytes of `text`. */
export function text(text: string): Bytes {
  return new TextEncoder().encode(text);
}

/** A stream of the given bytes in chunks, of a length that its reader does not know. */
export function streamOf(bytes: Bytes, chunkBytes = 100_000): ReadableStream<Bytes> {
  let at = 0;
  return new ReadableStream<Bytes>({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + chunkBytes));
      at += chunkBytes;
    },
  }, { highWaterMark: 0 });
}

/** A stream that remembers what became of it. */
export interface WatchedStream {
  readonly stream: ReadableStream<Bytes>;
  /** Settles with the reason when the reader gives up. */
  readonly cancelled: Promise<unknown>;
  /** Settles when everything that there is has been read. */
  readonly drained: Promise<void>;
}

/** Gives `bytes`, then neither ends nor fails until it is cancelled. */
export function stuckStream(bytes: Bytes, chunkBytes = 100_000): WatchedStream {
  const cancelled = Promise.withResolvers<unknown>();
  const drained = Promise.withResolvers<void>();
  let at = 0;
  const stream = new ReadableStream<Bytes>({
    pull(controller) {
      if (at < bytes.length) {
        controller.enqueue(bytes.slice(at, at + chunkBytes));
        at += chunkBytes;
        return;
      }
      drained.resolve();
      return new Promise(() => {});
    },
    cancel: (reason) => cancelled.resolve(reason),
  }, { highWaterMark: 0 });
  return { stream, cancelled: cancelled.promise, drained: drained.promise };
}

/** Gives `bytes`, then fails with `error`. */
export function failingStream(bytes: Bytes, error: Error): ReadableStream<Bytes> {
  let given = false;
  return new ReadableStream<Bytes>({
    pull(controller) {
      if (given) return controller.error(error);
      given = true;
      for (let at = 0; at < bytes.length; at += 100_000) {
        controller.enqueue(bytes.slice(at, at + 100_000));
      }
      if (bytes.length === 0) controller.error(error);
    },
  }, { highWaterMark: 0 });
}

/** `bytes` of fresh chunks of 1 MiB, calling `onChunk` before each. */
export function largeStream(bytes: number, onChunk: () => void): ReadableStream<Bytes> {
  let left = bytes;
  return new ReadableStream<Bytes>({
    pull(controller) {
      if (left === 0) return controller.close();
      onChunk();
      const chunk = new Uint8Array(Math.min(left, 1_048_576)).fill(left & 255);
      left -= chunk.length;
      controller.enqueue(chunk);
    },
  }, { highWaterMark: 0 });
}

/** Everything in a stream. */
export async function bytesOf(stream: ReadableStream<Bytes>): Promise<Bytes> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
