import { IntegrityError } from "../../domain/errors.ts";

/** Folders that a restore writes into. All paths are absolute. */
export interface RestoreFolders {
  /** The new data directory. */
  readonly destination: string;
  /** The new location of each tablespace by its oid. */
  readonly tablespaces: ReadonlyMap<number, string>;
}

/**
 * The path that a stored name is written to: below the destination, or below the new location of
 * a tablespace that the backup declares.
 *
 * @throws {IntegrityError} when the name would lead anywhere else.
 */
export function memberPath(name: string, folders: RestoreFolders): string {
  const segments = name.split("/");
  if (segments.some((segment) => segment === "" || segment === "." || segment === "..")) {
    throw refused(name);
  }
  const [first, oid, ...rest] = segments;
  if (first !== "pg_tblspc" || oid === undefined) return `${folders.destination}/${name}`;
  const location = /^[1-9]\d*$/.test(oid) ? folders.tablespaces.get(Number(oid)) : undefined;
  if (location === undefined) throw refused(name);
  return [location, ...rest].join("/");
}

function refused(name: string): IntegrityError {
  return new IntegrityError(
    `member ${JSON.stringify(name)} lies outside of the data directory and its tablespaces`,
    "this chunk was not written by backupctl; do not trust this repository",
  );
}
