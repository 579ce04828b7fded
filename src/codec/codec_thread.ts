import type { Bytes } from "../domain/bytes.ts";
import { IntegrityError, RunFailedError } from "../domain/errors.ts";
import type { CodecJob, CodecReply } from "./codec_job.ts";

interface Waiting {
  readonly resolve: (bytes: Bytes) => void;
  readonly reject: (reason: unknown) => void;
}

/** One worker seen from the main thread. */
export class CodecThread {
  readonly #worker = new Worker(new URL("./codec_worker.ts", import.meta.url), { type: "module" });
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #broken: unknown;

  constructor() {
    this.#worker.onmessage = (event: MessageEvent<CodecReply>) => this.#settle(event.data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.stop(new RunFailedError(`a compression worker failed: ${event.message}`));
    };
  }

  /** How many jobs it has not answered. */
  get load(): number {
    return this.#waiting.size;
  }

  /** Whether it takes no more work. */
  get broken(): boolean {
    return this.#broken !== undefined;
  }

  /** Transfers the job's buffer to the worker, and the result's back. */
  run(job: CodecJob): Promise<Bytes> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#worker.postMessage({ id, job }, [job.bytes.buffer]);
      this.#waiting.set(id, { resolve, reject });
    });
  }

  /** Ends the worker; jobs without an answer fail with `reason`. */
  stop(reason: unknown): void {
    this.#broken = reason;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }

  #settle(reply: CodecReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ("bytes" in reply) return waiting?.resolve(reply.bytes);
    if ("damage" in reply) return waiting?.reject(new IntegrityError(reply.damage));
    waiting?.reject(new Error(`a compression worker threw: ${reply.fault}`));
  }
}
