import type { Bytes } from "../domain/bytes.ts";
import { MiB } from "../domain/bytes.ts";
import { attempt } from "./directory_errors.ts";
import { giveToFolderOwner } from "./directory_tree.ts";

/** Chunks from this size on are written as they are; copying them costs more than a call. */
const LARGE_CHUNK_BYTES = MiB / 4;
const BUFFER_BYTES = MiB;

/** A file that is being written under a name that no reader looks at. */
export class PendingFile {
  readonly path: string;
  readonly #file: Deno.FsFile;
  #buffer: Bytes | undefined;
  #buffered = 0;
  #closed = false;

  private constructor(path: string, file: Deno.FsFile) {
    this.path = path;
    this.#file = file;
  }

  /** @throws {StorageError} when the file cannot be created. */
  static async create(path: string): Promise<PendingFile> {
    return await attempt(`create ${path}`, async () => {
      const file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
      const pending = new PendingFile(path, file);
      try {
        await Deno.chmod(path, 0o600); // the umask may have taken bits away
        await giveToFolderOwner(path);
      } catch (error) {
        await pending.discard();
        throw error;
      }
      return pending;
    });
  }

  /** Appends; small chunks wait until there is enough for one call. */
  async write(chunk: Bytes): Promise<void> {
    if (chunk.length >= LARGE_CHUNK_BYTES) {
      await this.#flush();
      return await this.#writeAll(chunk);
    }
    this.#buffer ??= new Uint8Array(BUFFER_BYTES);
    if (this.#buffered + chunk.length > BUFFER_BYTES) await this.#flush();
    this.#buffer.set(chunk, this.#buffered);
    this.#buffered += chunk.length;
  }

  /** Makes the content durable; what the file then is. */
  async finish(): Promise<Deno.FileInfo> {
    await this.#flush();
    return await attempt(`sync ${this.path}`, async () => {
      await this.#file.sync();
      const info = await this.#file.stat();
      this.#close();
      return info;
    });
  }

  /** Removes the name and closes the file. Never throws: it runs while another error is thrown. */
  async discard(): Promise<void> {
    this.#close();
    await Deno.remove(this.path).catch(() => {}); // gone, or left for abortUploads
  }

  async #flush(): Promise<void> {
    if (this.#buffer === undefined || this.#buffered === 0) return;
    const bytes = this.#buffer.subarray(0, this.#buffered);
    this.#buffered = 0;
    await this.#writeAll(bytes);
  }

  async #writeAll(bytes: Bytes): Promise<void> {
    await attempt(`write ${this.path}`, async () => {
      for (let at = 0; at < bytes.length;) at += await this.#file.write(bytes.subarray(at));
    });
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#file.close();
  }
}
