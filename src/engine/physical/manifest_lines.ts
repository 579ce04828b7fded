import type { Bytes } from "../../domain/bytes.ts";

/** A file as a line of PostgreSQL's backup_manifest lists it. */
export interface ListedFile {
  /** Below the data directory; `\x…` in hexadecimal for a name that is no UTF-8. */
  readonly path: string;
  readonly size: number;
  readonly algorithm: unknown;
  readonly checksum: unknown;
}

/**
 * Cuts a backup_manifest into lines while it passes, each with its line feed. The server writes each
 * file on a line of its own: `{ "Path": "base/1/1255", "Size": 8192, … },` (PostgreSQL docs, "Backup
 * Manifest Format").
 */
export class ManifestLines {
  readonly #decoder = new TextDecoder();
  #rest = "";

  /** The lines that `bytes` complete. */
  push(bytes: Bytes): readonly string[] {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split(/(?<=\n)/);
    this.#rest = lines.at(-1)?.endsWith("\n") ? "" : lines.pop() ?? "";
    return lines;
  }

  /** What stands behind the last line feed. */
  end(): string {
    return this.#rest + this.#decoder.decode();
  }
}

/** The file of a line; undefined for the other lines. @throws {SyntaxError} */
export function listedFile(line: string): ListedFile | undefined {
  if (!/^\s*\{\s*"(?:Encoded-)?Path"/.test(line)) return undefined;
  const entry: Record<string, unknown> = JSON.parse(line.replace(/,\s*$/, ""));
  const { Path: path, "Encoded-Path": encoded, Size: size } = entry;
  return {
    path: typeof path === "string" ? path : `\\x${encoded}`,
    size: Number(size),
    algorithm: entry["Checksum-Algorithm"],
    checksum: entry["Checksum"],
  };
}
