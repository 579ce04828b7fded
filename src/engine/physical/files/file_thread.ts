import { type Bytes, discard } from "../../../domain/bytes.ts";
import { PostgresError } from "../../../domain/errors.ts";
import type { DataDirectoryOptions, DataFileList } from "../../../postgres/postgres.ts";
import type {
  ChunkEntry,
  FileReply,
  FileRequest,
  FileSetup,
  PackedChunk,
} from "./file_messages.ts";

/** A chunk that is being made. */
export interface ChunkInTheMaking {
  /**
   * Its stored bytes, as they are made; to be read to their end. The memory of each is given back
   * as soon as the next one is asked for.
   */
  readonly stored: ReadableStream<Bytes>;
  /** Settles when the thread has made all of it; its rejection need not be watched. */
  readonly packed: Promise<PackedChunk>;
}

/** Called with raw bytes that were read; the next block waits for its promise. */
type OnBlock = (rawBytes: number) => void | Promise<void>;

/** A thread that reads files, seen from the main thread. It does one thing at a time. */
export class FileThread {
  readonly #worker = new Worker(new URL("./file_worker.ts", import.meta.url), { type: "module" });
  #blocks: Extract<FileReply, { readonly type: "block" }>[] = [];
  #wake = () => {};
  #packed = Promise.withResolvers<PackedChunk>();
  #listed = Promise.withResolvers<DataFileList>();
  #ended = false;
  /** Those that it helps, and that would wait for ever for what it does not give back. */
  readonly #owners = new Set<FileThread>();

  constructor(setup: FileSetup) {
    this.#worker.onmessage = (event: MessageEvent<FileReply>) => this.#hear(event.data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new Error(`a thread that reads files failed: ${event.message}`));
    };
    for (const { promise } of [this.#packed, this.#listed]) promise.catch(() => {});
    this.#send({ type: "setup", setup });
  }

  /** Lists the files. @throws {PostgresError} */
  async list(options: DataDirectoryOptions): Promise<DataFileList> {
    this.#send({ type: "list", options });
    return await this.#listed.promise;
  }

  /** Begins a chunk. The one before must be done. */
  pack(entries: readonly ChunkEntry[], onBlock: OnBlock): ChunkInTheMaking {
    this.#packed = Promise.withResolvers<PackedChunk>();
    const { promise: packed } = this.#packed;
    packed.then(() => this.#end(), () => this.#end());
    this.#blocks = [];
    this.#ended = false;
    this.#send({ type: "chunk", entries });
    let before: Bytes | undefined;
    const stored = new ReadableStream<Bytes>({
      pull: async (controller) => {
        if (before) discard(before);
        const block = await this.#next();
        if (!block) {
          await packed; // throws when the thread failed
          return controller.close();
        }
        await onBlock(block.rawBytes);
        before = block.bytes;
        controller.enqueue(block.bytes);
        this.#send({ type: "taken" });
      },
    }, { highWaterMark: 0 });
    return { stored, packed };
  }

  /** Compresses for `owner` until its chunk is done, besides what else it is given. */
  help(owner: FileThread): void {
    const { port1, port2 } = new MessageChannel();
    this.#send({ type: "help", port: port1 });
    owner.#send({ type: "helper", port: port2 });
    this.#owners.add(owner);
    const done = () => void this.#owners.delete(owner);
    owner.#packed.promise.then(done, done);
  }

  /** Ends the thread, whatever it does. */
  stop(reason: unknown): void {
    this.#worker.terminate();
    this.#fail(reason);
  }

  async #next(): Promise<Extract<FileReply, { readonly type: "block" }> | undefined> {
    while (this.#blocks.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return this.#blocks.shift();
  }

  #send(request: FileRequest): void {
    this.#worker.postMessage(request, "port" in request ? [request.port] : []);
  }

  #hear(reply: FileReply): void {
    switch (reply.type) {
      case "block":
        this.#blocks.push(reply);
        return this.#wake();
      case "listed":
        return this.#listed.resolve(reply.list);
      case "done":
        return this.#packed.resolve(reply.chunk);
      case "failed":
        return this.#fail(failure(reply));
    }
  }

  #end(): void {
    this.#ended = true;
    this.#wake();
  }

  #fail(reason: unknown): void {
    this.#blocks = [];
    this.#listed.reject(reason);
    this.#packed.reject(reason);
    const owners = [...this.#owners];
    this.#owners.clear();
    for (const owner of owners) owner.#fail(reason);
  }
}

function failure({ kind, message, hint }: Extract<FileReply, { readonly type: "failed" }>): Error {
  if (kind === "postgres") return new PostgresError(message, hint);
  return new Error(`a thread that reads files threw: ${message}`);
}
