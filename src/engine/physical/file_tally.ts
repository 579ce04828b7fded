import { crc32 } from "node:zlib";
import type { Bytes } from "../../domain/bytes.ts";
import { listedFile, ManifestLines } from "./manifest_lines.ts";

/** WAL is no part of PostgreSQL's manifest, though its status files may be. */
const WAL_FOLDER = "pg_wal/";

/** Whether PostgreSQL's manifest lists a file of that name. */
export function isListed(path: string): boolean {
  return !path.startsWith(WAL_FOLDER);
}

/** Counts files so that two lists can be compared in any order, in little memory. */
export class FileTally {
  files = 0;
  bytes = 0;
  /** The sum of a checksum of each name with its length. */
  #sum = 0;
  /** A checksum of all of them in their order. */
  #order = 0;

  /** @param path below the data directory. */
  add(path: string, size: number): void {
    if (!isListed(path)) return;
    this.files += 1;
    this.bytes += size;
    const entry = `${size} ${path}`;
    this.#sum = (this.#sum + crc32(entry)) >>> 0;
    this.#order = crc32(`${entry}\0`, this.#order);
  }

  /** Whether both have the same files of the same lengths, as far as a sum of CRCs can tell. */
  equals(other: FileTally): boolean {
    return this.files === other.files && this.bytes === other.bytes && this.#sum === other.#sum;
  }

  /** Whether both have them in the same order, too. */
  hasOrderOf(other: FileTally): boolean {
    return this.equals(other) && this.#order === other.#order;
  }
}

/** Counts the files in PostgreSQL's backup_manifest while it passes. */
export class ManifestTally {
  readonly tally = new FileTally();
  readonly #lines = new ManifestLines();

  /** The next bytes of the manifest. */
  push(bytes: Bytes): void {
    for (const line of this.#lines.push(bytes)) {
      const file = listedFile(line);
      if (file) this.tally.add(file.path, file.size);
    }
  }
}
