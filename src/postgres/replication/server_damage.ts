import type { ServerDamage } from "../postgres.ts";

/** At most five pages of a file are named one by one; the first of the files comes first. */
const PAGE = /checksum verification failed in file "(?:\.\/)?([^"]+)", block (\d+)/;
const OF_FILE = /^file "[^"]+" has a total of (\d+) checksum verification failures?/;
const OF_ALL = /^(\d+) total checksum verification failures?/;

/**
 * What the warnings of a base backup say of damaged pages (src/backend/backup/basebackup.c). A
 * server that speaks another language leaves only their number to be guessed: one at least.
 */
export function serverDamage(warnings: readonly string[]): ServerDamage {
  const pages = warnings.map((text) => PAGE.exec(text)).filter((match) => match !== null)
    .map((match) => ({ path: match[1]!, block: Number(match[2]) }));
  const counts = (pattern: RegExp) => warnings.map((text) => Number(pattern.exec(text)?.[1] ?? 0));
  const count = Math.max(1, pages.length, ...counts(OF_FILE), ...counts(OF_ALL));
  return { count, pages };
}
