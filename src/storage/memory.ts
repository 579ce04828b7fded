import { systemClock } from "../domain/clock.ts";
import type { Bytes } from "../domain/bytes.ts";
import { ObjectExistsError, ObjectMissingError } from "../domain/errors.ts";
import { type Body, cancelBody, consume } from "./body.ts";
import { type ByteRange, checkRange, outsideError } from "./byte_range.ts";
import { checkKey, checkMetadata, compareKeys } from "./object_key.ts";
import type {
  CopyOptions,
  DeleteOptions,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  ReadOptions,
} from "./storage.ts";

const CHUNK_BYTES = 65_536;

interface Entry {
  readonly bytes: Bytes;
  readonly info: ObjectInfo & { readonly etag: string };
}

/** Objects in memory: the reference that the other adapters are compared with. For tests. */
export class MemoryStore implements ObjectStore {
  readonly location: string;
  readonly #objects = new Map<string, Entry>();
  #writes = 0;

  /** Empty. */
  constructor(name = "memory") {
    this.location = `memory://${name}`;
  }

  async put(key: string, body: Body, options: PutOptions = {}): Promise<ObjectInfo> {
    const { metadata = {}, size, signal } = options;
    try {
      checkKey(key);
      checkMetadata(metadata);
      const chunks: Bytes[] = [];
      await consume(body, (chunk) => void chunks.push(chunk.slice()), { key, size, signal });
      const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer());
      signal?.throwIfAborted();
      this.#checkConditions(key, options); // nothing is awaited from here on: one of many wins
      return this.#store(key, bytes, metadata);
    } catch (error) {
      await cancelBody(body, error);
      throw error;
    }
  }

  async get(
    key: string,
    { range, signal }: ReadOptions & { readonly range?: ByteRange } = {},
  ): Promise<ReadableStream<Bytes>> {
    signal?.throwIfAborted();
    checkKey(key);
    checkRange(range);
    const entry = this.#objects.get(key);
    if (entry === undefined) throw new ObjectMissingError(key);
    const [start, end] = range ?? [0, entry.bytes.length];
    if (range !== undefined && start >= entry.bytes.length) throw outsideError(key, range);
    return await Promise.resolve(streamOf(entry.bytes.slice(start, end), signal));
  }

  async head(key: string, { signal }: ReadOptions = {}): Promise<ObjectInfo | undefined> {
    signal?.throwIfAborted();
    checkKey(key);
    return await Promise.resolve(this.#objects.get(key)?.info);
  }

  async *list(
    prefix: string,
    { startAfter, signal }: ReadOptions & { readonly startAfter?: string } = {},
  ): AsyncGenerator<ObjectInfo> {
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix));
    for (const key of keys.sort(compareKeys)) {
      signal?.throwIfAborted();
      if (startAfter !== undefined && compareKeys(key, startAfter) <= 0) continue;
      const entry = await Promise.resolve(this.#objects.get(key));
      if (entry === undefined) continue; // removed since the listing began
      const { metadata: _unlisted, ...info } = entry.info;
      yield info;
    }
  }

  async delete(keys: readonly string[], { signal, guard }: DeleteOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    keys.forEach(checkKey);
    guard?.();
    for (const key of keys) await Promise.resolve(this.#objects.delete(key));
  }

  async copy(
    from: string,
    to: string,
    { sha256, size, signal }: CopyOptions,
  ): Promise<ObjectInfo | undefined> {
    signal?.throwIfAborted();
    checkKey(from);
    checkKey(to);
    const { createHash } = await import("node:crypto");
    const bytes = this.#objects.get(from)?.bytes;
    if (bytes?.length !== size) return undefined;
    if (createHash("sha256").update(bytes).digest("hex") !== sha256) return undefined;
    this.#checkConditions(to, { ifAbsent: true });
    return this.#store(to, bytes, {});
  }

  #checkConditions(key: string, { ifAbsent = false, ifMatch }: PutOptions): void {
    const found = this.#objects.get(key);
    if (ifAbsent && found !== undefined) throw new ObjectExistsError(key);
    if (ifMatch !== undefined && found?.info.etag !== ifMatch) throw new ObjectExistsError(key);
  }

  #store(key: string, bytes: Bytes, metadata: Readonly<Record<string, string>>): ObjectInfo {
    this.#writes += 1;
    const info = {
      key,
      size: bytes.length,
      etag: `"${this.#writes}"`,
      lastModified: systemClock.now(),
      metadata: { ...metadata },
    };
    this.#objects.set(key, { bytes, info });
    return info;
  }
}

function streamOf(bytes: Bytes, signal: AbortSignal | undefined): ReadableStream<Bytes> {
  let at = 0;
  return new ReadableStream<Bytes>({
    pull(controller) {
      if (signal?.aborted) return controller.error(signal.reason);
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + CHUNK_BYTES));
      at += CHUNK_BYTES;
    },
  }, { highWaterMark: 0 });
}
