import { createHash } from "node:crypto";
import type { Bytes } from "../../../domain/bytes.ts";
import { IntegrityError } from "../../../domain/errors.ts";
import { type ChecksumAlgorithm, isChecksumAlgorithm } from "../file_checksum.ts";
import { isListed } from "../file_tally.ts";
import { listedFile, ManifestLines } from "../manifest_lines.ts";
import { NOT_STORED } from "../required_files.ts";

/** What backup_manifest says of a file. */
export interface FileEntry {
  readonly size: number;
  /** Undefined when the manifest was made without checksums. */
  readonly algorithm: ChecksumAlgorithm | undefined;
  /** In hexadecimal. */
  readonly checksum: string;
}

/**
 * The files of a backup by their paths, in the manifest's order, without those never stored and
 * those of the WAL, of which it names some.
 */
export type FileList = ReadonlyMap<string, FileEntry>;

const LAST_LINE = /^"Manifest-Checksum": "([0-9a-f]{64})"\}\s*$/;

/**
 * Reads a backup_manifest.
 *
 * @throws {IntegrityError} when it is cut short, changed, or lists a file twice.
 */
export async function readFileList(manifest: AsyncIterable<Bytes>): Promise<FileList> {
  const files = new Map<string, FileEntry>();
  const lines = new ManifestLines();
  const hash = createHash("sha256");
  let checksum: string | undefined;
  const take = (line: string) => {
    checksum = LAST_LINE.exec(line)?.[1];
    if (checksum !== undefined) return;
    hash.update(line);
    const file = parse(line);
    if (!file || NOT_STORED.has(file.path) || !isListed(file.path)) return;
    if (files.has(file.path)) throw wrong(`it lists ${JSON.stringify(file.path)} twice`);
    files.set(file.path, file.entry);
  };
  for await (const bytes of manifest) lines.push(bytes).forEach(take);
  const rest = lines.end();
  if (rest !== "") take(rest);
  if (checksum === undefined) throw wrong("it has no end");
  if (checksum !== hash.digest("hex")) throw wrong("its own checksum is another one");
  return files;
}

function parse(line: string): { readonly path: string; readonly entry: FileEntry } | undefined {
  try {
    const file = listedFile(line);
    if (!file) return undefined;
    const { path, size, algorithm, checksum } = file;
    if (!Number.isSafeInteger(size) || size < 0) throw wrong(`a file has the size ${size}`);
    const known = isChecksumAlgorithm(algorithm) && typeof checksum === "string";
    return {
      path,
      entry: {
        size,
        algorithm: known ? algorithm : undefined,
        checksum: known ? checksum.toLowerCase() : "",
      },
    };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw wrong(`a line of it makes no sense: ${error.message}`);
  }
}

function wrong(what: string): IntegrityError {
  return new IntegrityError(`the backup_manifest is damaged: ${what}`);
}
