import type { LeaseRemovals, StoredLease } from "../../catalog/catalog.ts";
import { formatBytes } from "../../domain/bytes.ts";
import { formatSpan } from "./format_span.ts";
import type { JudgedWal } from "./prune_model.ts";
import { type Leftover, LEFTOVER_AGE_MS } from "./prune_parts.ts";
import type { FolderStock, SystemStock } from "./take_stock.ts";

interface LeftoverOptions {
  readonly orphans?: boolean;
  readonly olderThan?: number;
  readonly now: number;
  readonly live: readonly StoredLease[];
  /** What an earlier removal did not come to. */
  readonly unfinished: LeaseRemovals | null;
}

/** The folders that are no backups: those that go, and what to say of the others. */
export function findLeftovers(
  stocks: readonly SystemStock[],
  options: LeftoverOptions,
): { readonly leftovers: readonly Leftover[]; readonly notes: readonly string[] } {
  const leftovers: Leftover[] = [];
  const left: FolderStock[] = [];
  for (const { systemIdentifier, folders } of stocks) {
    for (const folder of folders.filter(({ committed }) => !committed)) {
      const reason = reasonToGo(folder, { systemIdentifier, ...options });
      if (reason === undefined) left.push(folder);
      else leftovers.push({ systemIdentifier, id: folder.id, bytes: folder.bytes, reason });
    }
  }
  return { leftovers, notes: left.length === 0 ? [] : [sentence(left, options)] };
}

function reasonToGo(
  folder: FolderStock,
  { systemIdentifier, ...options }: LeftoverOptions & { readonly systemIdentifier: string },
): string | undefined {
  const begun = options.unfinished?.backups.some((one) =>
    one.systemIdentifier === systemIdentifier && one.id === folder.id
  );
  const { orphans = false, olderThan = LEFTOVER_AGE_MS, now, live } = options;
  const atWork = live.some(({ kind, needs }) =>
    kind === "backup" && (needs === null || needs.backups.includes(folder.id))
  );
  if (atWork) return undefined;
  if (begun) return "its removal was begun and not finished";
  if (!orphans || folder.storedAt === undefined || now - folder.storedAt <= olderThan) {
    return undefined;
  }
  return `it has no backup.json, and nothing was written to it for ${formatSpan(olderThan)}`;
}

function sentence(left: readonly FolderStock[], { orphans, olderThan }: LeftoverOptions): string {
  const bytes = formatBytes(left.reduce((sum, folder) => sum + folder.bytes, 0));
  const age = formatSpan(olderThan ?? LEFTOVER_AGE_MS);
  const what = left.length === 1
    ? `1 folder (${bytes}) without backup.json belongs to a run that is under way or was killed`
    : `${left.length} folders (${bytes}) without backup.json belong to runs that are under way or ` +
      "were killed";
  return orphans
    ? `${what}: younger than ${age}, or still at work`
    : `${what}; --orphans removes what is older`;
}

/**
 * With `--orphans`, the log of a system goes that has no backup any more and is not written to,
 * when another system has taken its place.
 */
export function orphanedWal(
  wal: readonly JudgedWal[],
  { stocks }: { readonly stocks: readonly SystemStock[] },
  { orphans = false, olderThan = LEFTOVER_AGE_MS, now, live }: LeftoverOptions,
): readonly JudgedWal[] {
  const hasBackups = ({ folders }: SystemStock) => folders.some(({ committed }) => committed);
  if (!orphans || !stocks.some(hasBackups)) return wal;
  const quiet = stocks.filter((stock) => stock.folders.length === 0)
    .filter(({ systemIdentifier }) =>
      !live.some(({ kind, needs }) =>
        kind !== "prune" && (needs === null || needs.systemIdentifier === systemIdentifier)
      )
    )
    .filter((stock) =>
      stock.wal.pieces.every(({ storedAt }) => storedAt !== undefined && now - storedAt > olderThan)
    );
  const going = new Set(quiet.map(({ systemIdentifier }) => systemIdentifier));
  return wal.map((piece) => {
    if (!going.has(piece.systemIdentifier)) return piece;
    return { ...piece, keep: false, reason: "its system has no backup, and writes no more" };
  });
}
