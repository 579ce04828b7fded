import type { BackupManifest, ManifestObject } from "../../catalog/catalog.ts";
import { NothingMatchesError } from "../../domain/errors.ts";
import { databaseDumps, type DumpObject } from "./database_dumps.ts";

/** The file of roles and tablespaces, without the codec's extension. */
export const GLOBALS_NAME = "globals.sql";

/**
 * The file of a database's dump, without the codec's extension. Letters, digits, `_` and inner
 * `.` and `-` stay; every other byte of the name's UTF-8 becomes `~` and two hexadecimal digits, so
 * that names are safe in paths, URLs and shells, and different ones stay different.
 */
export function dumpName(database: string): string {
  return `${safeName(database)}.dump`;
}

/**
 * The file of one part of a database's dump: in a folder of the database's name, where no whole dump
 * can be, and in the order in which they are restored.
 */
export function dumpPartName(
  database: string,
  { section, part }: Pick<ManifestObject, "section" | "part">,
): string {
  const folder = safeName(database);
  if (section === "pre-data") return `${folder}/1-pre-data.dump`;
  if (section === "post-data") return `${folder}/3-post-data.dump`;
  return `${folder}/2-data-${String(part).padStart(4, "0")}.dump`;
}

function safeName(database: string): string {
  const bytes = new TextEncoder().encode(database);
  const parts = Array.from(bytes, (byte, index) => {
    const letter = String.fromCharCode(byte);
    const isSafe = /[A-Za-z0-9_]/.test(letter) || (index > 0 && /[.-]/.test(letter));
    return isSafe ? letter : `~${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  });
  return parts.join("");
}

/** The objects of a logical backup that a restore takes. */
export interface DumpSelection {
  readonly globals: ManifestObject | undefined;
  /** Whole dumps, and parts of dumps. */
  readonly dumps: readonly DumpObject[];
}

/**
 * Chooses the objects of a logical backup.
 *
 * @param databases those that are wanted; all when absent. The globals always come along: roles
 * that own what is restored must be there.
 * @throws {NothingMatchesError} naming the databases that the backup has.
 * @throws {IntegrityError} when a database has two dumps, or one that is not whole.
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
  const names = databaseDumps(backup, dumps).map(({ database }) => database);
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
