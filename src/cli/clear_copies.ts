/**
 * Clear copies of the lists of files that backups hold, in this user's state folder. A host with
 * public keys only cannot open what it stored, and an increment has to know what its parent held.
 * They say what anybody sees who can read the data directory. Losing one costs a full backup.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { ClearCopies, ClearCopy } from "../codec/codec.ts";
import type { Bytes } from "../domain/bytes.ts";
import { privateFolder } from "./wal/private_folder.ts";

/** Lists, compressed; of no other object is a copy ever made. */
const LISTS = /\/(?:backup_manifest|file_list)\.(?:zst|gz)$/;
/** Of so many backups, two lists each. */
const MOST_COPIES = 40;

/** Copies in `folder`, which is made when the first one is kept. */
export class ListCopies implements ClearCopies {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  keep(name: string): ClearCopy | undefined {
    if (!LISTS.test(name) || privateFolder(this.#folder) === undefined) return undefined;
    const path = this.#path(name);
    const draft = `${path}.${Deno.pid}.tmp`;
    try {
      const file = Deno.openSync(draft, { write: true, create: true, truncate: true, mode: 0o600 });
      return new FileCopy(file, {
        done: () => {
          Deno.renameSync(draft, path);
          this.#forgetOld();
        },
        failed: () => Deno.removeSync(draft),
      });
    } catch {
      return undefined;
    }
  }

  read(name: string): ReadableStream<Bytes> | undefined {
    if (!LISTS.test(name)) return undefined;
    try {
      return Deno.openSync(this.#path(name)).readable;
    } catch {
      return undefined;
    }
  }

  #path(name: string): string {
    return `${this.#folder}/${createHash("sha256").update(name).digest("hex")}`;
  }

  #forgetOld(): void {
    const found = Array.from(Deno.readDirSync(this.#folder), ({ name }) => {
      const path = `${this.#folder}/${name}`;
      return { path, at: Deno.statSync(path).mtime?.getTime() ?? 0 };
    });
    const old = found.toSorted((one, other) => other.at - one.at).slice(MOST_COPIES);
    for (const { path } of old) Deno.removeSync(path);
  }
}

interface CopyEnds {
  readonly done: () => void;
  readonly failed: () => void;
}

/** A file under another name until it is whole. A failure ends the copy and nothing else. */
class FileCopy implements ClearCopy {
  #file: Deno.FsFile | undefined;
  readonly #ends: CopyEnds;

  constructor(file: Deno.FsFile, ends: CopyEnds) {
    this.#file = file;
    this.#ends = ends;
  }

  write(bytes: Bytes): void {
    this.#trying((file) => {
      for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    });
  }

  close(): void {
    this.#trying((file) => {
      this.#file = undefined;
      file.close();
      this.#ends.done();
    });
  }

  abandon(): void {
    const file = this.#file;
    this.#file = undefined;
    if (!file) return;
    try {
      file.close();
      this.#ends.failed();
    } catch {
      // What is left is an unfinished file of this user.
    }
  }

  #trying(act: (file: Deno.FsFile) => void): void {
    if (!this.#file) return;
    try {
      act(this.#file);
    } catch {
      this.abandon();
    }
  }
}
