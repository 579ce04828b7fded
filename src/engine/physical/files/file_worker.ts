/** A thread that reads the server's files and makes chunks of them, ready to be stored. */
/// <reference lib="deno.worker" />
import { createHash } from "node:crypto";
import { setImmediate } from "node:timers";
import { type Bytes, joinBytes } from "../../../domain/bytes.ts";
import { PostgresError } from "../../../domain/errors.ts";
import { listDataFiles, manifestEntries } from "../../../postgres/postgres.ts";
import { REQUIRED_FILES } from "../required_files.ts";
import { BlockEncoder, helpEncode } from "./block_encoder.ts";
import { ChunkPacker } from "./chunk_packer.ts";
import { fileListText } from "./file_list.ts";
import type {
  ChunkEntry,
  FileReply,
  FileRequest,
  FileSetup,
  PackedChunk,
  PackedFile,
} from "./file_messages.ts";

declare const self: DedicatedWorkerGlobalScope;

/** Blocks that the main thread has not passed on yet, at most. */
const WINDOW = 8;

const REQUIRED: ReadonlySet<string> = new Set(REQUIRED_FILES);

let work: Packing | undefined;

self.onmessage = async (event: MessageEvent<FileRequest>) => {
  try {
    const reply = await answer(event.data);
    if (reply) self.postMessage(reply, transferred(reply));
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
  if (request.type === "helper" || request.type === "help") {
    if (request.type === "helper") work!.addHelper(request.port);
    else work!.help(request.port);
    return undefined;
  }
  if (request.type === "list") {
    return { type: "listed", list: { ...listDataFiles(request.options) } };
  }
  return { type: "done", chunk: await work!.chunk(request.entries) };
}

/** One chunk after the other, with at most {@link WINDOW} blocks under way, and those at helpers. */
class Packing {
  readonly #setup: FileSetup;
  readonly #packer: ChunkPacker;
  readonly #encoder: BlockEncoder;
  #hash = createHash("sha256");
  #rawBytes = 0;
  #storedBytes = 0;
  #waiting = 0;
  #wake = () => {};
  #busy = false;
  /** Settles when all blocks so far are compressed and handed over, in their order. */
  #handedOver = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  constructor(setup: FileSetup) {
    this.#setup = setup;
    this.#encoder = new BlockEncoder(setup.codec);
    this.#packer = new ChunkPacker(setup, (block) => this.#block(block));
  }

  async chunk(entries: readonly ChunkEntry[]): Promise<PackedChunk> {
    this.#hash = createHash("sha256");
    this.#rawBytes = 0;
    this.#storedBytes = 0;
    this.#busy = true;
    for (const entry of entries) await this.#packer.add(entry);
    const files = await this.#packer.finish();
    await this.#handedOver;
    this.#busy = false;
    this.#encoder.dismiss();
    const sha256 = this.#hash.digest("hex");
    const stored = { rawBytes: this.#rawBytes, storedBytes: this.#storedBytes, sha256 };
    return { ...described(files), ...stored };
  }

  taken(): void {
    this.#waiting -= 1;
    this.#wake();
  }

  addHelper(port: MessagePort): void {
    if (this.#busy) this.#encoder.addHelper(port);
    else port.close(); // the chunk was done before the help came
  }

  help(port: MessagePort): void {
    helpEncode(port, this.#setup.codec);
  }

  async #block(raw: Bytes): Promise<void> {
    const { bytes, isCopied } = this.#encoder.encode(raw);
    this.#handOver(bytes, raw.length);
    if (!isCopied) await bytes;
    const { roomAtHelpers } = this.#encoder;
    if (roomAtHelpers > 0) await new Promise<void>((resolve) => setImmediate(resolve)); // hear them
    while (this.#waiting >= WINDOW + roomAtHelpers && !this.#failure) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    if (this.#failure) throw this.#failure.error;
  }

  #handOver(bytes: Promise<Bytes>, rawBytes: number): void {
    this.#waiting += 1;
    this.#handedOver = this.#handedOver.then(async () => this.#send(await bytes, rawBytes));
    for (const promise of [bytes, this.#handedOver]) {
      promise.catch((error) => {
        this.#failure ??= { error };
        this.#wake();
      });
    }
  }

  #send(bytes: Bytes, rawBytes: number): void {
    this.#hash.update(bytes);
    this.#rawBytes += rawBytes;
    this.#storedBytes += bytes.length;
    const reply: FileReply = { type: "block", bytes, rawBytes };
    self.postMessage(reply, [bytes.buffer]);
  }
}

type Described = Pick<PackedChunk, "files" | "manifestEntries" | "fileList" | "notable">;

/** Here, by all threads: the main thread has nothing to do for each file. */
function described(files: readonly PackedFile[]): Described {
  return {
    files: files.length,
    manifestEntries: manifestEntries(files),
    fileList: joinBytes([...fileListText(files)]),
    notable: files.filter(({ path, damaged }) => damaged !== undefined || REQUIRED.has(path)),
  };
}

/** What a reply gives away. */
function transferred(reply: FileReply): Transferable[] {
  if (reply.type !== "done") return [];
  const { manifestEntries, fileList } = reply.chunk;
  return [manifestEntries.buffer, fileList.buffer];
}

function failure(error: unknown): FileReply {
  if (error instanceof PostgresError) {
    return { type: "failed", kind: "postgres", message: error.message, hint: error.hint };
  }
  const message = error instanceof Error ? `${error.stack}` : String(error);
  return { type: "failed", kind: "fault", message, hint: undefined };
}
