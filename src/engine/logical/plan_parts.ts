import { MiB } from "../../domain/bytes.ts";
import type { SnapshotTable } from "../../postgres/postgres.ts";

/** Each pg_dump connects and reads the whole catalogue first: less is not worth it. */
const LEAST_BYTES = 64 * MiB;
/** Parts for each stream, so that the streams end at about the same time. */
const PARTS_PER_STREAM = 4;
/** Names on one command line, and on that of the rest: a query and 130 bytes for each of them. */
const MOST_TABLES = { part: 200, all: 1000 } as const;

/**
 * Divides the tables of a database into parts that are dumped by a pg_dump each: large ones alone,
 * small ones together, the largest first. What is in none is left to the pg_dump of the rest.
 *
 * @param options.leastBytes of a part. @default {64 MiB}
 */
export function planParts(
  tables: readonly SnapshotTable[],
  { streams, leastBytes = LEAST_BYTES }: {
    readonly streams: number;
    readonly leastBytes?: number;
  },
): readonly (readonly SnapshotTable[])[] {
  const total = sum(tables);
  const wanted = Math.max(leastBytes, total / (streams * PARTS_PER_STREAM));
  // pg_dump decides about the rows of an extension's tables, and not when a table is named.
  const candidates = tables.filter(({ ofExtension, bytes }) => !ofExtension && bytes > 0)
    .toSorted((a, b) => b.bytes - a.bytes).slice(0, MOST_TABLES.all);
  const parts: SnapshotTable[][] = [];
  let [part, filled, left] = [[] as SnapshotTable[], 0, total];
  for (const table of candidates) {
    if (part.length === 0 && left <= wanted) break;
    part.push(table);
    filled += table.bytes;
    left -= table.bytes;
    if (filled < wanted && part.length < MOST_TABLES.part) continue;
    parts.push(part);
    [part, filled] = [[], 0];
  }
  return part.length > 0 ? [...parts, part] : parts;
}

function sum(tables: readonly SnapshotTable[]): number {
  return tables.reduce((total, { bytes }) => total + bytes, 0);
}
