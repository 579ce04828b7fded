import type { Bytes } from "../domain/bytes.ts";
import { RunFailedError } from "../domain/errors.ts";
import { decodeBlock, encodeBlock } from "./block.ts";
import type { StreamBlock } from "./block_streams.ts";
import { cutBlocks, passBlocks, splitBlocks } from "./block_streams.ts";
import type { Codec, CodecPool, CodecSpec, ExpectedForm } from "./codec_port.ts";
import type { CodecJob } from "./codec_job.ts";
import { CodecThread } from "./codec_thread.ts";
import { orderedMap } from "./ordered_map.ts";

/** More threads than this gain nothing: the main thread hands the bytes on. */
const MAX_THREADS = 8;
/** One that is worked on and one that waits, so that no thread idles between two blocks. */
const JOBS_PER_THREAD = 2;

interface QueuedJob {
  readonly job: CodecJob;
  readonly resolve: (bytes: Bytes | Promise<Bytes>) => void;
  readonly reject: (reason: unknown) => void;
}

/** Compresses and opens blocks on as many threads as the machine has cores, at most eight. */
export class WorkerPool implements CodecPool {
  /** How many threads. */
  readonly size: number;
  readonly #threads: CodecThread[] = [];
  readonly #queue: QueuedJob[] = [];
  #closed = false;

  /**
   * Starts no thread yet.
   *
   * @param size how many threads. @default the number of cores, at most 8
   */
  constructor(size: number = navigator.hardwareConcurrency) {
    this.size = Math.min(Math.max(1, Math.trunc(size)), MAX_THREADS);
  }

  /** Both directions of one algorithm on these threads. */
  codec(spec: CodecSpec): Codec {
    return {
      spec,
      extension: spec.algorithm === "zstd" ? ".zst" : ".gz",
      encode: ({ cut = true, signal } = {}) =>
        this.#joined(
          cut ? cutBlocks() : passBlocks(),
          (block) => this.#encode(spec, block),
          signal,
        ),
      decode: ({ expected, signal } = {}) => this.#decoder(spec, expected, signal),
    };
  }

  /** Ends the threads; streams under way fail. */
  close(): void {
    this.#closed = true;
    const reason = closedError();
    for (const { reject } of this.#queue.splice(0)) reject(reason);
    for (const thread of this.#threads.splice(0)) thread.stop(reason);
  }

  /** The same as {@link WorkerPool.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #decoder(spec: CodecSpec, expected: ExpectedForm | undefined, signal: AbortSignal | undefined) {
    const { algorithm } = spec;
    return this.#joined(
      splitBlocks(algorithm, expected),
      (block) => this.#decode(algorithm, block),
      signal,
    );
  }

  #joined(
    blocks: TransformStream<Bytes, StreamBlock>,
    map: (block: StreamBlock) => Promise<Bytes>,
    signal: AbortSignal | undefined,
  ): TransformStream<Bytes, Bytes> {
    const limit = this.size * JOBS_PER_THREAD + 1;
    const mapped = blocks.readable.pipeThrough(orderedMap(limit, map), signal ? { signal } : {});
    return { writable: blocks.writable, readable: mapped };
  }

  async #encode(spec: CodecSpec, { bytes, alone }: StreamBlock): Promise<Bytes> {
    if (alone) return await encodeBlock(spec, bytes);
    return await this.#run({ kind: "encode", spec, bytes });
  }

  async #decode(algorithm: CodecSpec["algorithm"], block: StreamBlock): Promise<Bytes> {
    if (block.alone) return decodeBlock(algorithm, block.bytes);
    return await this.#run({ kind: "decode", algorithm, bytes: block.bytes });
  }

  #run(job: CodecJob): Promise<Bytes> {
    if (this.#closed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      this.#queue.push({ job, resolve, reject });
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const thread = this.#idlest();
      const next = thread && this.#queue.shift();
      if (!next) return;
      const result = thread.run(next.job);
      next.resolve(result);
      result.then(() => this.#dispatch(), () => this.#dispatch());
    }
  }

  /** The thread with the least to do, a new one while all are busy; undefined when all are full. */
  #idlest(): CodecThread | undefined {
    if (this.#closed) return undefined;
    const sound = this.#threads.filter((thread) => !thread.broken);
    const idlest = sound.reduce<CodecThread | undefined>(
      (best, thread) => best && best.load <= thread.load ? best : thread,
      undefined,
    );
    if (idlest?.load === 0) return idlest;
    if (sound.length < this.size) return this.#start();
    return idlest && idlest.load < JOBS_PER_THREAD ? idlest : undefined;
  }

  #start(): CodecThread {
    const thread = new CodecThread();
    this.#threads.push(thread);
    return thread;
  }
}

function closedError(): RunFailedError {
  return new RunFailedError("the compression threads were stopped");
}
