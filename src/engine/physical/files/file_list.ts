/**
 * The list of a backup's files by what tells one file from another: an increment may leave out pages
 * of a file only when it is the very one that its parent knew. One JSON object a line.
 *
 * @module
 */
import type { BackupManifest } from "../../../catalog/catalog.ts";
import type { Bytes } from "../../../domain/bytes.ts";
import { IntegrityError } from "../../../domain/errors.ts";
import { IncrementRefusedError } from "../../../postgres/postgres.ts";
import { type ManifestParts, storedManifest } from "../incremental/stored_manifest.ts";
import type { FileIdentity, PackedFile } from "./file_messages.ts";

/** What a parent knows of its files, by their paths. */
export type KnownFiles = ReadonlyMap<string, FileIdentity>;

const LINES_PER_PIECE = 4096;

/** The list as it is stored. */
export function* fileListText(files: Iterable<PackedFile>): Generator<Bytes> {
  const encoder = new TextEncoder();
  let lines: string[] = [];
  for (const { identity } of files) {
    if (!identity) continue;
    lines.push(`${JSON.stringify(identity)}\n`);
    if (lines.length < LINES_PER_PIECE) continue;
    yield encoder.encode(lines.join(""));
    lines = [];
  }
  yield encoder.encode(lines.join(""));
}

/**
 * Reads the list of a backup.
 *
 * @throws {IncrementRefusedError} when it cannot be read: then only a full backup is possible.
 */
export async function knownFiles(
  parts: ManifestParts,
  backup: BackupManifest,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<KnownFiles> {
  try {
    const reading = { role: "file_list" as const, ...(signal && { signal }) };
    return await parse(storedManifest(parts, backup, reading));
  } catch (error) {
    if (!(error instanceof IntegrityError || error instanceof SyntaxError)) throw error;
    throw new IncrementRefusedError(error.message, undefined, { cause: error });
  }
}

async function parse(bytes: AsyncIterable<Bytes>): Promise<KnownFiles> {
  const known = new Map<string, FileIdentity>();
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of bytes) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) add(known, JSON.parse(line));
  }
  if (rest !== "") throw new IntegrityError("the list of files is cut short");
  return known;
}

function add(known: Map<string, FileIdentity>, entry: Record<string, unknown>): void {
  const { path, size, inode, bornAt } = entry;
  if (typeof path !== "string") {
    throw new IntegrityError("the list of files has one without a path");
  }
  known.set(path, { size: Number(size), inode: Number(inode), bornAt: Number(bornAt) });
}
