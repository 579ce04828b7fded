import type { Clock } from "../../domain/clock.ts";
import type { WalName } from "../../domain/wal.ts";
import { type AheadParts, pushAhead } from "./push_ahead.ts";
import { readyFiles } from "./ready_files.ts";
import { identityOf } from "./wal_file.ts";

/** Milliseconds between looks for further files. */
const LOOK_MS = 20;

/** How a run ahead of the archiver is bounded. */
export interface RunAheadOptions {
  readonly walFolder: string;
  /** The file that somebody else pushes. */
  readonly asked: string;
  /** How many marks may wait for PostgreSQL to ask. */
  readonly lookAhead: number;
  /** Ends after so many milliseconds with nothing to do. */
  readonly idleMs: number;
  /** Asked before each file: whether what this run was begun with still holds. */
  readonly isCurrent?: () => boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Pushes what waits as long as PostgreSQL goes on asking, so that its calls find marks: one process
 * compresses while the other one starts, confirms and ends.
 *
 * @returns how many files got a mark.
 */
export async function runAhead(parts: AheadParts, options: RunAheadOptions): Promise<number> {
  const { walFolder, asked, idleMs, clock, signal } = options;
  const begun = new Set([asked]);
  let marked = 0;
  let busy = clock.monotonic();
  while (!signal.aborted && isStill(parts, options) && clock.monotonic() - busy < idleMs) {
    const names = nextFiles(parts, { ...options, begun });
    const done = await pushAhead(parts, { walFolder, names, until: Infinity, clock, signal });
    marked += done;
    if (done > 0) busy = clock.monotonic();
    await new Promise((next) => setTimeout(next, LOOK_MS));
  }
  return marked;
}

/** One file after the other, each looked for when its turn comes, as long as there is room. */
function* nextFiles(
  parts: AheadParts,
  options: RunAheadOptions & { readonly begun: Set<string> },
): Generator<WalName> {
  const { spool } = parts;
  const { walFolder, lookAhead, begun } = options;
  while (isStill(parts, options)) {
    const waiting = readyFiles(walFolder);
    const ahead = waiting.filter(({ name }) => begun.has(name)).length;
    const next = waiting.find(({ name }) => !begun.has(name));
    if (!next || ahead > lookAhead) return;
    begun.add(next.name);
    if (!isMarked(spool, `${walFolder}/${next.name}`, next.name)) yield next;
  }
}

/** Calls with other settings push by those, and so must whoever helps them. */
function isStill({ spool }: AheadParts, { isCurrent = () => true }: RunAheadOptions): boolean {
  return spool.isCurrent && isCurrent();
}

function isMarked(spool: AheadParts["spool"], path: string, name: string): boolean {
  try {
    return spool.markOf(name, identityOf(path)) !== undefined;
  } catch {
    return true; // gone: archived, and removed, meanwhile
  }
}
