import type { Bytes } from "../../../domain/bytes.ts";
import type { PackedFile } from "./file_messages.ts";

const LINES_PER_PIECE = 4096;

/**
 * The identities of the files of a backup, one JSON object a line: an increment by page LSNs may
 * trust a file only when it is the very same one (path, inode and time of birth).
 */
export function* fileListText(files: Iterable<PackedFile>): Generator<Bytes> {
  const encoder = new TextEncoder();
  let lines: string[] = [];
  for (const { path, size, inode, bornAt } of files) {
    if (inode === undefined) continue;
    lines.push(`${JSON.stringify({ path, size, inode, bornAt: bornAt ?? null })}\n`);
    if (lines.length < LINES_PER_PIECE) continue;
    yield encoder.encode(lines.join(""));
    lines = [];
  }
  yield encoder.encode(lines.join(""));
}
