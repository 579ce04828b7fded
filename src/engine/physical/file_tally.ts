import { crc32 } from "node:zlib";
import type { Bytes } from "../../domain/bytes.ts";

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

/**
 * Counts the files in PostgreSQL's backup_manifest while it passes. The server writes each file on
 * a line of its own: `{ "Path": "base/1/1255", "Size": 8192, … },` (PostgreSQL docs, "Backup
 * Manifest Format"); names that are no UTF-8 stand as `Encoded-Path`, in hexadecimal.
 */
export class ManifestTally {
  readonly tally = new FileTally();
  readonly #decoder = new TextDecoder();
  #rest = "";

  /** The next bytes of the manifest. */
  push(bytes: Bytes): void {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    if (!/^\s*\{\s*"(?:Encoded-)?Path"/.test(line)) return;
    const entry: Record<string, unknown> = JSON.parse(line.replace(/,\s*$/, ""));
    const { Path: path, "Encoded-Path": encoded, Size: size } = entry;
    this.tally.add(typeof path === "string" ? path : `\\x${encoded}`, Number(size));
  }
}
