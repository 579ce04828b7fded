import type { BackupParts } from "./parts.ts";

/** Longer than the upload of the largest object takes: a dump of 5 TB at 10 MB a second has 6 days. */
const STALE_MILLISECONDS = 7 * 86_400_000;

/**
 * Removes what killed runs left of objects: the uploads of S3, which cost money and are in no
 * listing, and the unfinished files of a folder. Never throws: the next run tries again.
 */
export async function giveUpStaleUploads(
  { store, repository, clock, progress }: Pick<
    BackupParts,
    "store" | "repository" | "clock" | "progress"
  >,
  signal?: AbortSignal,
): Promise<void> {
  const before = new Date(clock.now().getTime() - STALE_MILLISECONDS);
  const options = { before, ...(signal && { signal }) };
  try {
    const given = await store.abortUploads?.(`${repository.cluster}/`, options) ?? 0;
    if (given === 0) return;
    const what = given === 1 ? "1 unfinished upload" : `${given} unfinished uploads`;
    progress.note(`removed ${what} of runs that were killed more than seven days ago`);
  } catch {
    // Not allowed to list uploads, or the store is gone again: the backup stands.
  }
}
