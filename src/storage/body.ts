/** Reading what is given to `put`: once, to its end, or cancelled. */
import type { Bytes } from "../domain/bytes.ts";
import { StorageError } from "../domain/errors.ts";

/** What {@link ObjectStore.put} takes. */
export type Body = Bytes | ReadableStream<Bytes>;

/** What is known of a body, and how to stop reading it. */
export interface ConsumeOptions {
  /** For the message about a body of another length than announced. */
  readonly key: string;
  /** The length that was announced. */
  readonly size?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Hands the body to `sink`, chunk by chunk, each when the one before is dealt with. A stream is
 * always finished or cancelled when this returns or throws; its own error is thrown as it is.
 *
 * @returns how many bytes there were.
 * @throws {StorageError} when they are not as many as announced.
 */
export async function consume(
  body: Body,
  sink: (chunk: Bytes) => void | Promise<void>,
  { key, size, signal }: ConsumeOptions,
): Promise<number> {
  signal?.throwIfAborted();
  let bytes = 0;
  const take = async (chunk: Bytes) => {
    bytes += chunk.length;
    if (size !== undefined && bytes > size) throw new BodyLengthError(key, { size, bytes });
    if (chunk.length > 0) await sink(chunk);
  };
  if (body instanceof Uint8Array) {
    await take(body);
  } else {
    await drain(body, take, signal);
  }
  if (size !== undefined && bytes !== size) throw new BodyLengthError(key, { size, bytes });
  return bytes;
}

/** Ends a body that nobody is going to read, so that its source may stop. Never throws. */
export async function cancelBody(body: Body, reason: unknown): Promise<void> {
  if (body instanceof Uint8Array || body.locked) return;
  await body.cancel(reason).catch(() => {}); // it had failed already
}

class BodyLengthError extends StorageError {
  constructor(key: string, { size, bytes }: { readonly size: number; readonly bytes: number }) {
    const found = bytes > size ? `more than ${size}` : `${bytes} of ${size}`;
    super(
      `the body of object ${key} has ${found} bytes announced; nothing was stored`,
      "did the source change or end early?",
    );
  }
}

async function drain(
  stream: ReadableStream<Bytes>,
  take: (chunk: Bytes) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const reader = stream.getReader();
  // Cancelling answers a read that is waiting; without it an abort would wait for the source.
  const abort = () => void reader.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener("abort", abort, { once: true });
  try {
    while (true) {
      const { done, value } = await reader.read();
      signal?.throwIfAborted();
      if (done) return;
      await take(value);
      signal?.throwIfAborted();
    }
  } catch (error) {
    await reader.cancel(error).catch(() => {}); // the stream's own error comes back here
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
    reader.releaseLock();
  }
}
