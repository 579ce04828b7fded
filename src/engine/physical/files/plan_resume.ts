import type { AbandonedChunk } from "../../../catalog/catalog.ts";
import type { DataFile } from "../../../postgres/postgres.ts";

/** Files that an earlier run put into one chunk. */
export interface ResumableChunk {
  /** In the order of that chunk. */
  readonly files: readonly DataFile[];
  /** What may turn out to hold just them. */
  readonly candidate: AbandonedChunk;
}

/** What may be taken over, and the files that are left. */
export interface ResumePlan {
  readonly chunks: readonly ResumableChunk[];
  readonly rest: readonly DataFile[];
}

/**
 * Deals files into the chunks of runs that were cut off, so that what has not changed can be found
 * again. A file whose length or time is another one makes its chunk hopeless. That both are the
 * same says nothing: it is worth reading, and the hash of what is read decides.
 *
 * @param extension of chunks, `.zst` or `.gz`.
 */
export function planResume(
  files: readonly DataFile[],
  { abandoned, extension }: {
    readonly abandoned: readonly AbandonedChunk[];
    readonly extension: string;
  },
): ResumePlan {
  const left = new Map(files.map((file) => [file.path, file]));
  const chunks: ResumableChunk[] = [];
  for (const candidate of abandoned) {
    const { record } = candidate;
    if (!record.key.endsWith(extension)) continue;
    const own = record.files.map((known) => {
      const file = left.get(known.path);
      return file?.size === known.size && file.modifiedAt === known.modifiedAt ? file : undefined;
    }).filter((file) => file !== undefined);
    if (new Set(own).size !== record.files.length) continue;
    for (const { path } of own) left.delete(path);
    chunks.push({ files: own, candidate });
  }
  return { chunks, rest: files.filter(({ path }) => left.has(path)) };
}
