import type { BackupManifest, ManifestObject } from "../../catalog/catalog.ts";
import { IntegrityError, NothingMatchesError } from "../../domain/errors.ts";

/** The file of roles and tablespaces, without the codec's extension. */
export const GLOBALS_NAME = "globals.sql";

/**
 * The file of a database's dump, without the codec's extension. Letters, digits, `_` and inner
 * `.` and `-` stay; every other byte of the name's UTF-8 becomes `~` and two hexadecimal digits, so
 * that names are safe in paths, URLs and shells, and different ones stay different.
 */
export function dumpName(database: string): string {
  const bytes = new TextEncoder().encode(database);
  const parts = Array.from(bytes, (byte, index) => {
    const letter = String.fromCharCode(byte);
    const isSafe = /[A-Za-z0-9_]/.test(letter) || (index > 0 && /[.-]/.test(letter));
    return isSafe ? letter : `~${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  });
  return `${parts.join("")}.dump`;
}

/** The objects of a logical backup that a restore takes. */
export interface DumpSelection {
  readonly globals: ManifestObject | undefined;
  readonly dumps: readonly (ManifestObject & { readonly database: string })[];
}

/**
 * Chooses the objects of a logical backup.
 *
 * @param databases those that are wanted; all when absent. The globals always come along: roles
 * that own what is restored must be there.
 * @throws {NothingMatchesError} naming the databases that the backup has.
 * @throws {IntegrityError} when the manifest names a database twice.
 */
export function selectDumps(
  backup: BackupManifest,
  databases?: readonly string[],
): DumpSelection {
  const dumps = backup.objects.flatMap((object) =>
    object.role === "dump" && object.database !== undefined
      ? [{ ...object, database: object.database }]
      : []
  );
  const names = dumps.map(({ database }) => database);
  if (new Set(names).size < names.length) {
    throw new IntegrityError(`backup ${backup.id} has two dumps of one database`);
  }
  refuseUnknown(databases ?? [], { names, where: `in backup ${backup.id}` });
  const wanted = databases && new Set(databases);
  return {
    globals: backup.objects.find(({ role }) => role === "globals"),
    dumps: dumps.filter(({ database }) => wanted?.has(database) ?? true),
  };
}

/** @throws {NothingMatchesError} when one of `wanted` is not among `names`. */
export function refuseUnknown(
  wanted: readonly string[],
  { names, where }: { readonly names: readonly string[]; readonly where: string },
): void {
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length === 0) return;
  const word = unknown.length > 1 ? "databases" : "database";
  throw new NothingMatchesError(
    `there is no ${word} ${unknown.map((name) => JSON.stringify(name)).join(", ")} ${where}`,
    names.length > 0
      ? `there are: ${names.map((name) => JSON.stringify(name)).join(", ")}`
      : "there is none at all",
  );
}
