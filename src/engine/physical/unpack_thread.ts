import type { ExpectedForm } from "../../codec/codec.ts";
import type { Bytes } from "../../domain/bytes.ts";
import { MiB } from "../../domain/bytes.ts";
import { DestinationError, IntegrityError } from "../../domain/errors.ts";
import type { UnpackedChunk, UnpackReply, UnpackRequest, UnpackSetup } from "./unpack_messages.ts";

/** Stored bytes that wait in a thread at most: enough to keep it busy while the store answers. */
const WINDOW_BYTES = 4 * MiB;

/** How one chunk is handed over. */
export interface UnpackOptions {
  readonly expected: ExpectedForm;
  /** So many more raw bytes are on disk. */
  readonly onProgress: (rawBytes: number) => void;
  readonly signal: AbortSignal;
}

/** One unpacking thread, seen from the main thread. It works on one chunk at a time. */
export class UnpackThread {
  readonly #worker = new Worker(new URL("./unpack_worker.ts", import.meta.url), { type: "module" });
  #waitingBytes = 0;
  #wake = () => {};
  #done = Promise.withResolvers<UnpackedChunk>();
  #onProgress: (rawBytes: number) => void = () => {};

  constructor() {
    this.#worker.onmessage = (event: MessageEvent<UnpackReply>) => this.#hear(event.data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new Error(`an unpacking thread failed: ${event.message}`));
    };
  }

  /** Says what the next chunks are unpacked for. */
  setUp(setup: UnpackSetup): void {
    this.#send({ type: "setup", setup });
  }

  /**
   * Unpacks one chunk, once it is set up.
   *
   * @throws {IntegrityError} when it is not what is expected; files of it may be on disk by then.
   * @throws {DestinationError} when a file cannot be written.
   */
  async unpack(
    stored: ReadableStream<Bytes>,
    { expected, onProgress, signal }: UnpackOptions,
  ): Promise<UnpackedChunk> {
    this.#done = Promise.withResolvers<UnpackedChunk>();
    this.#done.promise.catch(() => {}); // awaited below, perhaps later
    this.#onProgress = onProgress;
    this.#send({ type: "begin", expected });
    // Not every store hears the signal while it waits for its next bytes.
    const bytesOfChunk = stored.pipeThrough(new TransformStream<Bytes, Bytes>(), { signal });
    for await (const bytes of bytesOfChunk) await this.#feed(bytes);
    this.#send({ type: "end" });
    return await this.#done.promise;
  }

  /** Ends the thread, whatever it does. */
  stop(): void {
    this.#worker.terminate();
  }

  async #feed(bytes: Bytes): Promise<void> {
    // Not every store owns the buffer that it hands out, so it is copied, not transferred.
    const copy = bytes.slice();
    this.#waitingBytes += copy.length;
    this.#send({ type: "bytes", bytes: copy });
    while (this.#waitingBytes >= WINDOW_BYTES) {
      const taken = new Promise<void>((resolve) => this.#wake = resolve);
      await Promise.race([taken, this.#done.promise]);
    }
  }

  #send(request: UnpackRequest): void {
    this.#worker.postMessage(request, request.type === "bytes" ? [request.bytes.buffer] : []);
  }

  #hear(reply: UnpackReply): void {
    if (reply.type === "done") return this.#done.resolve(reply.chunk);
    if (reply.type === "failed") return this.#fail(failure(reply));
    this.#waitingBytes -= reply.storedBytes;
    this.#onProgress(reply.rawBytes);
    this.#wake();
  }

  #fail(reason: unknown): void {
    this.#done.reject(reason);
    this.#wake();
  }
}

function failure(
  { kind, message, hint }: Extract<UnpackReply, { readonly type: "failed" }>,
): Error {
  if (kind === "integrity") return new IntegrityError(message, hint);
  if (kind === "destination") return new DestinationError(message, hint);
  return new Error(`an unpacking thread threw: ${message}`);
}

/** Unpacking threads that go from one backup of a chain to the next: starting one takes its time. */
export class UnpackThreads implements Disposable {
  readonly #all: UnpackThread[] = [];
  #idle: UnpackThread[] = [];

  /** All threads are idle, and those that are taken from now on work for `setup`. */
  begin(setup: UnpackSetup): UnpackThreadSource {
    const ready: UnpackThread[] = [];
    const idle = this.#idle;
    this.#idle = [];
    return {
      take: () => {
        const known = ready.pop();
        if (known) return known;
        const thread = idle.pop() ?? this.#start();
        thread.setUp(setup);
        return thread;
      },
      give: (thread) => void ready.push(thread),
      end: () => void this.#idle.push(...idle, ...ready),
    };
  }

  [Symbol.dispose](): void {
    for (const thread of this.#all) thread.stop();
  }

  #start(): UnpackThread {
    const thread = new UnpackThread();
    this.#all.push(thread);
    return thread;
  }
}

/** The threads at work on one backup. */
export interface UnpackThreadSource {
  /** One that is idle, or a new one. */
  take(): UnpackThread;
  /** It is idle again. */
  give(thread: UnpackThread): void;
  /** Nobody needs them for this backup any more. */
  end(): void;
}
