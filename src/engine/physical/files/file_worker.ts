/** A thread that reads the server's files and makes chunks of them, ready to be stored. */
/// <reference lib="deno.worker" />
import { createHash } from "node:crypto";
import { encodeBlock } from "../../../codec/codec.ts";
import type { Bytes } from "../../../domain/bytes.ts";
import { PostgresError } from "../../../domain/errors.ts";
import { listDataFiles } from "../../../postgres/postgres.ts";
import { ChunkPacker } from "./chunk_packer.ts";
import type {
  ChunkEntry,
  FileReply,
  FileRequest,
  FileSetup,
  PackedChunk,
} from "./file_messages.ts";

declare const self: DedicatedWorkerGlobalScope;

/** Blocks that the main thread has not passed on yet, at most. */
const WINDOW = 8;

let work: Packing | undefined;

self.onmessage = async (event: MessageEvent<FileRequest>) => {
  try {
    const reply = await answer(event.data);
    if (reply) self.postMessage(reply);
  } catch (error) {
    self.postMessage(failure(error));
  }
};

async function answer(request: FileRequest): Promise<FileReply | undefined> {
  if (request.type === "taken") {
    work?.taken();
    return undefined;
  }
  if (request.type === "setup") {
    work = new Packing(request.setup);
    return undefined;
  }
  if (request.type === "list") {
    return { type: "listed", list: { ...listDataFiles(request.options) } };
  }
  return { type: "done", chunk: await work!.chunk(request.entries) };
}

/** One chunk after the other, with at most {@link WINDOW} blocks under way. */
class Packing {
  readonly #setup: FileSetup;
  readonly #packer: ChunkPacker;
  #hash = createHash("sha256");
  #rawBytes = 0;
  #storedBytes = 0;
  #waiting = 0;
  #wake = () => {};

  constructor(setup: FileSetup) {
    this.#setup = setup;
    this.#packer = new ChunkPacker(setup, (block) => this.#block(block));
  }

  async chunk(entries: readonly ChunkEntry[]): Promise<PackedChunk> {
    this.#hash = createHash("sha256");
    this.#rawBytes = 0;
    this.#storedBytes = 0;
    for (const entry of entries) await this.#packer.add(entry);
    const files = await this.#packer.finish();
    const sha256 = this.#hash.digest("hex");
    return { files, rawBytes: this.#rawBytes, storedBytes: this.#storedBytes, sha256 };
  }

  taken(): void {
    this.#waiting -= 1;
    this.#wake();
  }

  async #block(raw: Bytes): Promise<void> {
    const bytes = await encodeBlock(this.#setup.codec, raw);
    this.#hash.update(bytes);
    this.#rawBytes += raw.length;
    this.#storedBytes += bytes.length;
    this.#waiting += 1;
    const reply: FileReply = { type: "block", bytes, rawBytes: raw.length };
    self.postMessage(reply, [bytes.buffer]);
    while (this.#waiting >= WINDOW) await new Promise<void>((resolve) => this.#wake = resolve);
  }
}

function failure(error: unknown): FileReply {
  if (error instanceof PostgresError) {
    return { type: "failed", kind: "postgres", message: error.message, hint: error.hint };
  }
  const message = error instanceof Error ? `${error.stack}` : String(error);
  return { type: "failed", kind: "fault", message, hint: undefined };
}
