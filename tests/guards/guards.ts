/**
 * The guards that data depends on most. `deno task guards` takes each of them out, one at a time,
 * and wants to see its test go red; the suite checks that every text still stands in its file.
 *
 * @module
 */
import type { Guard } from "./guard.ts";
import { ARCHIVE_GUARDS } from "./archive_guards.ts";
import { BACKUP_GUARDS } from "./backup_guards.ts";
import { REMOVAL_GUARDS } from "./removal_guards.ts";
import { RESTORE_GUARDS } from "./restore_guards.ts";
import { STORAGE_GUARDS } from "./storage_guards.ts";

/** All of them. */
export const GUARDS: readonly Guard[] = [
  ...STORAGE_GUARDS,
  ...ARCHIVE_GUARDS,
  ...BACKUP_GUARDS,
  ...RESTORE_GUARDS,
  ...REMOVAL_GUARDS,
];
