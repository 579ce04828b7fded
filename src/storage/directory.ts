import { type Bytes, MiB } from "../domain/bytes.ts";
import { ObjectExistsError, ObjectMissingError, StorageError } from "../domain/errors.ts";
import { type Body, cancelBody, consume } from "./body.ts";
import { type ByteRange, checkRange, outsideError } from "./byte_range.ts";
import { attempt, isAbsence } from "./directory_errors.ts";
import { listDirectory } from "./directory_list.ts";
import { DirectoryMetadata, formatSidecar } from "./directory_metadata.ts";
import { publish } from "./directory_publish.ts";
import { removeObjects } from "./directory_remove.ts";
import { DirectoryTree } from "./directory_tree.ts";
import { reapUnfinished, UnfinishedFiles } from "./directory_unfinished.ts";
import { checkKey, checkMetadata, RESERVED_SEGMENT } from "./object_key.ts";
import { PendingFile } from "./pending_file.ts";
import type {
  CopyOptions,
  DeleteOptions,
  ListOptions,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  ReadOptions,
} from "./storage.ts";

const READ_BYTES = MiB;

/** How a {@link DirectoryStore} treats its root. */
export interface DirectoryOptions {
  /**
   * Create the root when it is missing. Not without being asked: a missing root is more often a
   * disk that is not mounted, where nothing may be written and nothing be called absent.
   *
   * @default {false}
   */
  readonly create?: boolean;
}

/** What the store works with once its root is known. */
interface Opened {
  readonly tree: DirectoryTree;
  readonly metadata: DirectoryMetadata;
  readonly unfinished: UnfinishedFiles;
}

/**
 * Objects as files below one folder, local or mounted: key = path, content = content.
 *
 * A put writes to `<root>/.backupctl/tmp`, syncs, and gives the file its name by a hard link or a
 * rename, so nobody ever sees a part of an object, and of many that race for a key one wins.
 */
export class DirectoryStore implements ObjectStore {
  readonly location: string;
  readonly #create: boolean;
  #opened: Promise<Opened> | undefined;
  #prepared: Promise<void> | undefined;

  /** Touches nothing yet. */
  constructor(root: string, { create = false }: DirectoryOptions = {}) {
    this.location = root;
    this.#create = create;
  }

  async put(key: string, body: Body, options: PutOptions = {}): Promise<ObjectInfo> {
    try {
      checkKey(key);
      checkMetadata(options.metadata ?? {});
      options.signal?.throwIfAborted();
      const opened = await this.#prepare();
      if (options.ifAbsent && await opened.tree.stat(key) !== undefined) {
        throw new ObjectExistsError(key); // before the body is read; publish() decides
      }
      return await write(opened, { key, body, options });
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
    const { tree } = await this.#open();
    if (await tree.stat(key) === undefined) throw new ObjectMissingError(key);
    const path = tree.path(key);
    const file = await attempt(`open ${path}`, () => Deno.open(path).catch(ignoreAbsence));
    if (file === undefined) throw new ObjectMissingError(key);
    try {
      const { size } = await attempt(`look up ${path}`, () => file.stat());
      const [start, end] = range ?? [0, size];
      if (range !== undefined && start >= size) throw outsideError(key, range);
      if (start > 0) await file.seek(start, Deno.SeekMode.Start);
      return streamFile(file, { path, bytes: Math.min(end, size) - start, signal });
    } catch (error) {
      file.close();
      throw error;
    }
  }

  async head(key: string, { signal }: ReadOptions = {}): Promise<ObjectInfo | undefined> {
    signal?.throwIfAborted();
    checkKey(key);
    const { tree, metadata, unfinished } = await this.#open();
    for (let tries = 1;; tries++) {
      const info = await tree.stat(key);
      if (info === undefined) return undefined;
      const fields = (isBeingPublished(info) && await unfinished.metadataOf(info)) ||
        await metadata.read(key, info.size);
      // Replaced meanwhile: the metadata may be the other object's.
      if (tries < 10 && (await tree.stat(key))?.ino !== info.ino) continue;
      return { ...describe(key, info), metadata: fields };
    }
  }

  async *list(
    prefix: string,
    { startAfter, signal, onForeign }: ListOptions = {},
  ): AsyncGenerator<ObjectInfo> {
    signal?.throwIfAborted();
    const { tree } = await this.#open();
    yield* listDirectory(tree, { prefix, startAfter, signal, onForeign, describe });
  }

  async delete(keys: readonly string[], { signal, guard }: DeleteOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    keys.forEach(checkKey);
    const { tree, metadata } = await this.#open();
    await removeObjects(keys, { location: this.location, tree, metadata, signal, guard });
  }

  async copy(
    from: string,
    to: string,
    options: CopyOptions,
  ): Promise<ObjectInfo | undefined> {
    options.signal?.throwIfAborted();
    checkKey(from);
    checkKey(to);
    const { tree, metadata } = await this.#prepare();
    // Only backups copy: a push of WAL does not load it.
    const { linkObject } = await import("./directory_copy.ts");
    const info = await linkObject(tree, { from, to, ...options });
    if (!info) return undefined;
    await metadata.remove(to);
    return { ...describe(to, info), metadata: {} };
  }

  async abortUploads(
    prefix: string,
    { before, signal }: ReadOptions & { readonly before: Date },
  ): Promise<number> {
    signal?.throwIfAborted();
    return await reapUnfinished(await this.#open(), { prefix, before, signal });
  }

  #open(): Promise<Opened> {
    this.#opened ??= openRoot(this.location, this.#create).catch((error) => {
      this.#opened = undefined; // it may be mounted later
      throw error;
    });
    return this.#opened;
  }

  async #prepare(): Promise<Opened> {
    const opened = await this.#open();
    this.#prepared ??= makePrivateFolders(opened.tree).catch((error) => {
      this.#prepared = undefined;
      throw error;
    });
    await this.#prepared;
    return opened;
  }
}

async function openRoot(location: string, create: boolean): Promise<Opened> {
  if (create) {
    await attempt(
      `create the folder ${location}`,
      () => Deno.mkdir(location, { recursive: true, mode: 0o700 }),
    );
  }
  const root = await attempt(
    `open the repository ${location}`,
    () => Deno.realPath(location).catch(ignoreAbsence),
  );
  if (root === undefined) {
    throw new StorageError(
      `the folder of the repository, ${location}, does not exist`,
      "is its disk mounted? otherwise create the folder, owned by the user that runs backupctl",
    );
  }
  return {
    tree: new DirectoryTree(root),
    metadata: new DirectoryMetadata(`${root}/${RESERVED_SEGMENT}/metadata`),
    unfinished: new UnfinishedFiles(`${root}/${RESERVED_SEGMENT}/tmp`),
  };
}

async function makePrivateFolders(tree: DirectoryTree): Promise<void> {
  await tree.makeFolder(`${RESERVED_SEGMENT}/tmp`);
  await tree.makeFolder(`${RESERVED_SEGMENT}/metadata`);
}

async function write(
  { tree, metadata, unfinished }: Opened,
  { key, body, options }: {
    readonly key: string;
    readonly body: Body;
    readonly options: PutOptions;
  },
): Promise<ObjectInfo> {
  const { metadata: fields = {}, size, signal } = options;
  const name = unfinished.newName(key);
  const pending = await PendingFile.create(unfinished.path(name));
  let sidecar: PendingFile | undefined;
  try {
    await consume(body, (chunk) => pending.write(chunk), { key, size, signal });
    const info = await pending.finish();
    if (Object.keys(fields).length > 0 || await metadata.has(key)) {
      sidecar = await PendingFile.create(unfinished.sidecarPath(name));
      await sidecar.write(formatSidecar({ key, size: info.size, metadata: fields }));
      await sidecar.finish();
    }
    signal?.throwIfAborted();
    const { ifAbsent, ifMatch } = options;
    await publish(tree, {
      key,
      path: pending.path,
      keepName: sidecar !== undefined,
      ifAbsent,
      ifMatch,
      describe,
    });
    if (sidecar !== undefined) await metadata.adopt(key, sidecar.path);
    return { ...describe(key, info), metadata: { ...fields } };
  } finally {
    await pending.discard();
    await sidecar?.discard();
  }
}

/** While a file has its unfinished name too, its metadata is not in place yet. */
function isBeingPublished(info: Deno.FileInfo): boolean {
  return info.nlink !== null && info.nlink > 1;
}

function describe(key: string, info: Deno.FileInfo): ObjectInfo & { readonly etag: string } {
  const { ino, size, mtime } = info;
  const etag = `"${ino ?? 0}-${size}-${mtime?.getTime() ?? 0}"`;
  return { key, size, etag, ...(mtime && { lastModified: mtime }) };
}

function streamFile(
  file: Deno.FsFile,
  { path, bytes, signal }: {
    readonly path: string;
    readonly bytes: number;
    readonly signal: AbortSignal | undefined;
  },
): ReadableStream<Bytes> {
  let left = bytes;
  return new ReadableStream<Bytes>({
    async pull(controller) {
      try {
        signal?.throwIfAborted();
        if (left === 0) {
          file.close();
          return controller.close();
        }
        const chunk = new Uint8Array(Math.min(READ_BYTES, left));
        const count = await attempt(`read ${path}`, () => file.read(chunk));
        if (count === null) {
          throw new StorageError(
            `${path} ended ${left} bytes early`,
            "was it cut while it was read?",
          );
        }
        left -= count;
        controller.enqueue(count === chunk.length ? chunk : chunk.subarray(0, count));
      } catch (error) {
        file.close();
        controller.error(error);
      }
    },
    cancel: () => file.close(),
  }, { highWaterMark: 0 });
}

function ignoreAbsence(error: unknown): undefined {
  if (!isAbsence(error)) throw error;
}
