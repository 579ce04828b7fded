import type { Clock } from "../../domain/clock.ts";
import type { WalName } from "../../domain/wal.ts";
import { type EncodedWalFile, encodeWalFile, takeTurn } from "./encode_wal_file.ts";
import { identityOf } from "./wal_file.ts";
import { pushWal, type WalPushParts } from "./wal_push.ts";
import type { WalSpool } from "./wal_spool.ts";

/** How far one call goes beyond the file that it was asked for. */
export interface AheadOptions {
  readonly walFolder: string;
  /** In the order to push them; the next one is asked for when its turn comes. */
  readonly names: Iterable<WalName>;
  /** By the clock's monotonic time: no further file is begun after this. */
  readonly until: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Uploads under way at a time: compressing one file takes about as long as storing three. */
const UPLOADS = 4;

/** What look-ahead needs of the world. */
export interface AheadParts extends WalPushParts {
  readonly spool: WalSpool;
}

/**
 * Pushes files that PostgreSQL will ask for next, and leaves a mark for each that the store has
 * acknowledged. Failures are left to the call that asks for the file.
 *
 * @returns how many got a mark.
 */
export async function pushAhead(parts: AheadParts, options: AheadOptions): Promise<number> {
  const { walFolder, names, until, clock, signal } = options;
  const uploads = new Set<Promise<boolean>>();
  const results: Promise<boolean>[] = [];
  for (const name of names) {
    if (clock.monotonic() >= until || signal.aborted) break;
    const encoded = await encodeNext(parts, `${walFolder}/${name.name}`, name.name);
    if (!encoded) continue;
    const upload = storeAndMark(parts, encoded, signal).catch(() => false);
    void upload.then(() => uploads.delete(upload));
    uploads.add(upload);
    results.push(upload);
    if (uploads.size >= UPLOADS) await Promise.race(uploads);
  }
  const marked = (await Promise.all(results)).filter((done) => done).length;
  if (marked > 0) parts.spool.settle();
  return marked;
}

/** Undefined when it has a mark already, or is not fit: its own call then tells what is wrong. */
async function encodeNext(
  { spool, place, codec, seal }: AheadParts,
  path: string,
  name: string,
): Promise<EncodedWalFile | undefined> {
  try {
    if (spool.markOf(name, identityOf(path))) return undefined;
    return await encodeWalFile(path, { codec, place, seal, turn: takeTurn });
  } catch {
    return undefined;
  }
}

async function storeAndMark(
  parts: AheadParts,
  encoded: EncodedWalFile,
  signal: AbortSignal,
): Promise<boolean> {
  const { sha256 } = await pushWal(parts, encoded, signal);
  const { identity, name: { name } } = encoded;
  return parts.spool.mark({ name, identity, sha256 });
}
