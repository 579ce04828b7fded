import type { ArchiveFacts } from "./archive_check.ts";
import type { TargetServer } from "./target_server.ts";

/** What pg_dump 15 and later write of every database, and no server before 15 understands. */
const PROVIDER = " LOCALE_PROVIDER = libc";
const UNDERSTOOD_SINCE = 15;

/**
 * Creates the database on an older server than its pg_dump was: pg_restore's own attempt fails
 * then ({@link isProviderRefused}), and it goes on with the database that is there.
 */
export async function prepareDatabase(
  { server, major, create }: {
    readonly server: TargetServer;
    readonly major: number;
    readonly create: boolean;
  },
  { createDatabase }: Pick<ArchiveFacts, "createDatabase">,
): Promise<void> {
  if (!create || major >= UNDERSTOOD_SINCE || !createDatabase?.includes(PROVIDER)) return;
  await server.runForeign(createDatabase.replace(PROVIDER, ""));
}

/** Whether a complaint of pg_restore is the one that {@link prepareDatabase} made harmless. */
export function isProviderRefused(complaint: string): boolean {
  return /option "locale_provider" not recognized/.test(complaint);
}
