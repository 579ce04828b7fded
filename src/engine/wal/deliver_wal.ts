import type { Bytes } from "../../domain/bytes.ts";
import { RunFailedError } from "../../domain/errors.ts";

/**
 * A file on its way to where PostgreSQL wants it: written beside it, synced, renamed, so that under
 * its name there is all of it or nothing. It is written as it comes: a fresh buffer of a whole
 * segment costs a new process more than opening what is in it.
 */
export class WalDelivery {
  readonly #destination: string;
  readonly #temporary: string;
  #file: Deno.FsFile | undefined;

  /** Nothing is written before the first {@link write}. */
  constructor(destination: string) {
    this.#destination = destination;
    this.#temporary = `${destination}.backupctl-${Deno.pid}`;
  }

  /** Adds bytes. @throws {RunFailedError} with nothing left behind. */
  write(bytes: Bytes): void {
    try {
      this.#file ??= Deno.openSync(this.#temporary, {
        ...{ write: true, create: true, truncate: true, mode: 0o600 },
      });
      for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Gives it its name: the whole of it is there. @throws {RunFailedError} with nothing left behind. */
  async end(): Promise<void> {
    this.write(new Uint8Array(0));
    try {
      await this.#file!.sync(); // not the thread's time: the next one may be opened meanwhile
      this.#close();
      Deno.renameSync(this.#temporary, this.#destination);
      await syncFolderOf(this.#destination);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Removes what was written so far. */
  discard(): void {
    this.#close();
    try {
      Deno.removeSync(this.#temporary);
    } catch {
      // It was never made, or has its name already.
    }
  }

  #close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #failed(error: unknown): RunFailedError {
    this.discard();
    const reason = error instanceof Error ? error.message : String(error);
    return new RunFailedError(
      `cannot write ${this.#destination}: ${reason.replace(/ \(os error \d+\).*$/s, "")}`,
      "is the disk full, or the folder not writable?",
      { cause: error },
    );
  }
}

/** Makes the name of a file durable. */
async function syncFolderOf(path: string): Promise<void> {
  using folder = Deno.openSync(path.includes("/") ? path.replace(/\/+[^/]*$/, "") || "/" : ".");
  await folder.sync();
}
