import { MiB } from "../../../domain/bytes.ts";
import type { DataFile } from "../../../postgres/postgres.ts";

/** A file this long is alone in its chunk, and small ones are bundled up to it. */
const CHUNK_BYTES = 128 * MiB;
/** Below this a chunk costs more in requests than another thread wins. */
const LEAST_BYTES = 8 * MiB;
/** So many chunks for each thread, so that none ends long before the others. */
const CHUNKS_PER_THREAD = 4;
/** What a file costs beside its bytes, in bytes read meanwhile: opening, hashing, a header. */
const FILE_COST = 16 * 1024;

/** Files that become one chunk. */
export interface PlannedChunk {
  readonly files: readonly DataFile[];
  /** By which chunks are ordered, the dearest first. */
  readonly cost: number;
}

/**
 * Deals files out into chunks. Files of the same age are together: so what is hardly ever written to
 * makes chunks that stay the same, which the next run or a restore by `--delta` can do without.
 */
export function planChunks(
  files: readonly DataFile[],
  { threads }: { readonly threads: number },
): readonly PlannedChunk[] {
  const total = files.reduce((sum, file) => sum + costOf(file), 0);
  const share = total / (threads * CHUNKS_PER_THREAD);
  const enough = Math.min(CHUNK_BYTES, Math.max(LEAST_BYTES, share));
  const chunks: PlannedChunk[] = [];
  let bundle: DataFile[] = [];
  let cost = 0;
  const close = () => {
    if (bundle.length > 0) chunks.push({ files: bundle, cost });
    bundle = [];
    cost = 0;
  };
  for (const file of files.toSorted((one, other) => one.modifiedAt - other.modifiedAt)) {
    if (file.size >= enough) {
      chunks.push({ files: [file], cost: costOf(file) });
      continue;
    }
    bundle.push(file);
    cost += costOf(file);
    if (cost >= enough) close();
  }
  close();
  return chunks.sort((one, other) => other.cost - one.cost);
}

function costOf({ size }: DataFile): number {
  return size + FILE_COST;
}
