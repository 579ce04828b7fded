import type { Bytes } from "../../../domain/bytes.ts";
import { PostgresError } from "../../../domain/errors.ts";
import { cannotRead } from "../../../postgres/postgres.ts";

/** A file that is read while a server may be writing, cutting or removing it. */
export class FileReading implements Disposable {
  readonly path: string;
  readonly info: Deno.FileInfo;
  /** Where the file turned out to end, when it was cut meanwhile. */
  #end = Number.POSITIVE_INFINITY;
  readonly #file: Deno.FsFile;
  #offset = 0;

  private constructor(path: string, { file, info }: Opened) {
    this.path = path;
    this.#file = file;
    this.info = info;
  }

  /**
   * Opens a file.
   *
   * @param options.mayBeReplaced looks before it opens: a third cheaper, since Deno checks the path
   * of an open file anew. Should another file take the place of this one in between, it is read
   * with the length and the identity of the one before.
   * @returns undefined when it is gone and may be.
   * @throws {PostgresError} when it cannot be opened.
   */
  static open(
    path: string,
    { mayBeMissing, mayBeReplaced = false }: {
      readonly mayBeMissing: boolean;
      readonly mayBeReplaced?: boolean;
    },
  ): FileReading | undefined {
    try {
      return new FileReading(path, mayBeReplaced ? lookAndOpen(path) : openAndLook(path));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw cannotRead(path, error);
      if (mayBeMissing) return undefined;
      throw new PostgresError(
        `${path} was removed before it could be copied`,
        "raise wal_keep_size, or max_replication_slots so that a slot can keep the WAL",
      );
    }
  }

  /**
   * Fills `view` from `position` on. Zeros stand for what is no longer there: recovery cuts the
   * file again.
   *
   * @returns how many bytes are the file's.
   */
  read(position: number, view: Bytes): number {
    const wanted = Math.min(view.length, Math.max(0, this.#end - position));
    const filled = this.#fill(position, view.subarray(0, wanted));
    if (filled < wanted) this.#end = position + filled;
    if (filled < view.length) view.fill(0, filled);
    return filled;
  }

  /** Reads a part again. @returns false when it is no longer all there. */
  again(position: number, into: Bytes): boolean {
    return this.#fill(position, into) === into.length;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  #fill(position: number, view: Bytes): number {
    try {
      if (position !== this.#offset) this.#file.seekSync(position, Deno.SeekMode.Start);
      let filled = 0;
      while (filled < view.length) {
        const count = this.#file.readSync(view.subarray(filled)) ?? 0;
        if (count === 0) break;
        filled += count;
      }
      this.#offset = position + filled;
      return filled;
    } catch (error) {
      throw cannotRead(this.path, error);
    }
  }
}

interface Opened {
  readonly file: Deno.FsFile;
  readonly info: Deno.FileInfo;
}

function openAndLook(path: string): Opened {
  const file = Deno.openSync(path);
  return { file, info: file.statSync() };
}

function lookAndOpen(path: string): Opened {
  const info = Deno.lstatSync(path);
  return { file: Deno.openSync(path), info };
}
