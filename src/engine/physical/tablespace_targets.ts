import type { BackupManifest } from "../../catalog/catalog.ts";
import { UsageError } from "../../domain/errors.ts";
import type { RestorePlan } from "../parts.ts";

/** Where each tablespace goes. */
export type TablespaceTarget = RestorePlan["tablespaces"][number];

/**
 * Applies `--tablespace-map` to the tablespaces of a backup; the others keep their place.
 *
 * @throws {UsageError} when an old location is unknown, or a new one is no absolute path.
 */
export function tablespaceTargets(
  backup: BackupManifest,
  map: ReadonlyMap<string, string> = new Map(),
): readonly TablespaceTarget[] {
  const wanted = new Map([...map].map(([from, to]) => [plain(from), checked(to)]));
  const known = backup.tablespaces.map(({ location }) => plain(location));
  for (const from of wanted.keys()) {
    if (!known.includes(from)) throw unknownLocation(from, known);
  }
  return backup.tablespaces.map(({ oid, location }) => ({
    oid,
    from: location,
    to: wanted.get(plain(location)) ?? plain(location),
  }));
}

function checked(to: string): string {
  if (to.startsWith("/") && plain(to) !== "/") return plain(to);
  throw new UsageError(`the new tablespace location ${JSON.stringify(to)} is no absolute path`);
}

function unknownLocation(from: string, known: readonly string[]): UsageError {
  return new UsageError(
    `the backup has no tablespace at ${from}`,
    known.length > 0 ? `it has them at ${known.join(", ")}` : "it has no tablespaces",
  );
}

/** Without slashes at its end. */
function plain(path: string): string {
  return path.replace(/(?<=.)\/+$/, "");
}
