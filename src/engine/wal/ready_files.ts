import { parseWalName, type WalName } from "../../domain/wal.ts";

/**
 * The files that PostgreSQL wants archived: those with a `.ready` mark beside pg_wal. History files
 * first, then by name, which is the order that PostgreSQL itself goes in (pgarch.c).
 *
 * @param walFolder the data directory's pg_wal.
 * @returns none when there is no such folder.
 */
export function readyFiles(walFolder: string): readonly WalName[] {
  const names: WalName[] = [];
  try {
    for (const entry of Deno.readDirSync(`${walFolder}/archive_status`)) {
      if (!entry.name.endsWith(".ready")) continue;
      const name = parseWalName(entry.name.slice(0, -".ready".length));
      if (name) names.push(name);
    }
  } catch {
    return []; // no data directory's pg_wal, or not ours to read
  }
  return names.sort(order);
}

function order(a: WalName, b: WalName): number {
  const rank = (name: WalName) => name.kind === "history" ? 0 : 1;
  return rank(a) - rank(b) || (a.name < b.name ? -1 : 1);
}
