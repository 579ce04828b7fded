import type { DamagedPages } from "../../../catalog/catalog.ts";
import type { Lsn } from "../../../domain/lsn.ts";
import { IntegrityError } from "../../../domain/errors.ts";
import type { Progress } from "../../../domain/progress.ts";
import { type DamagedPage, relationFile, type ServerDamage } from "../../../postgres/postgres.ts";
import type { PackedFile } from "./file_messages.ts";

/** What the manifest names; the count has all of them. */
const MOST_FILES = 100;
const MOST_BLOCKS = 100;

/**
 * The pages that a restore will not make good. One whose LSN lies within the backup is restored
 * from the image in its WAL, as pg_basebackup trusts, too; an LSN behind the end can be no page's.
 */
export function damagedPages(
  files: Iterable<PackedFile>,
  { startLsn, stopLsn }: { readonly startLsn: Lsn; readonly stopLsn: Lsn },
): DamagedPages | undefined {
  const found: { path: string; blocks: number[] }[] = [];
  let count = 0;
  const heals = ({ lsn }: DamagedPage) => lsn >= startLsn && lsn <= stopLsn;
  for (const { path, damaged = [] } of files) {
    const blocks = damaged.filter((page) => !heals(page)).map(({ block }) => block);
    if (blocks.length === 0) continue;
    count += blocks.length;
    if (found.length < MOST_FILES) found.push({ path, blocks: blocks.slice(0, MOST_BLOCKS) });
  }
  return count === 0 ? undefined : { count, files: found };
}

/**
 * The same of what the server told while it sent the files. Its numbers are those in the file.
 *
 * @param segmentPages how many a file has at most.
 */
export function serverDamagedPages(
  { count, pages }: ServerDamage,
  segmentPages: number,
): DamagedPages {
  const files = Map.groupBy(pages, ({ path }) => path);
  return {
    count,
    files: [...files].slice(0, MOST_FILES).map(([path, found]) => {
      const before = (relationFile(path)?.segment ?? 0) * segmentPages;
      return { path, blocks: found.slice(0, MOST_BLOCKS).map(({ block }) => before + block) };
    }),
  };
}

/**
 * Tells people of damage, or fails the backup for it.
 *
 * @throws {IntegrityError} when the backup shall not be kept.
 */
export function reportDamage(
  damaged: DamagedPages,
  { progress, failOnCorruption = false }: {
    readonly progress: Progress;
    readonly failOnCorruption?: boolean | undefined;
  },
): void {
  if (failOnCorruption) {
    throw new IntegrityError(
      `the cluster has ${describeDamage(damaged)}`,
      "restore these relations from an older backup; without --fail-on-corruption " +
        "the backup is kept and the damage noted",
    );
  }
  progress.note(`complete with damage: ${describeDamage(damaged)}`);
}

/** For messages: `3 damaged pages, among them block 17 of base/5/16385`. */
export function describeDamage({ count, files: [first] }: DamagedPages): string {
  const pages = count === 1 ? "1 damaged page" : `${count} damaged pages`;
  if (!first) return pages;
  const where = first.blocks[0] === undefined ? "" : `block ${first.blocks[0]} of `;
  return count === 1
    ? `${pages}, ${where}${first.path}`
    : `${pages}, among them ${where}${first.path}`;
}
