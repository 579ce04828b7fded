/** What pg_restore complained of. */
export interface RestoreComplaints {
  readonly errors: readonly string[];
  /** Whether it gave up before the end; otherwise it went on after each error. */
  readonly gaveUp: boolean;
}

const SPEAKER = "pg_restore: ";
const COUNT = /errors ignored on restore: \d+/;
/** Behind an error stands the statement; the words in front of it may be translated. */
const OF_CREATION = /^[^:\n]+: CREATE DATABASE /m;

/**
 * Reads pg_restore's standard error. PostgreSQL, src/bin/pg_dump/pg_backup_db.c, ExecuteSqlCommand.
 *
 * @param options.isPrepared the database was created for it: its failure to do so is no error.
 */
export function readComplaints(
  stderr: string,
  { isPrepared }: { readonly isPrepared: boolean },
): RestoreComplaints {
  const complaints = `\n${stderr}`.split(`\n${SPEAKER}`).slice(1)
    .filter((text) => !/^(while |from TOC entry )/.test(text) && !COUNT.test(text));
  const forgiven = isPrepared ? complaints.findIndex((text) => OF_CREATION.test(text)) : -1;
  return {
    errors: complaints.filter((_, index) => index !== forgiven).map((text) => text.split("\n")[0]!),
    gaveUp: !COUNT.test(stderr),
  };
}
