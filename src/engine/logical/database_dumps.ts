import type { BackupManifest, ManifestObject } from "../../catalog/catalog.ts";
import { IntegrityError } from "../../domain/errors.ts";

/** An object that holds a dump, or a part of one. */
export type DumpObject = ManifestObject & { readonly database: string };

/** The dump of one database: one object, or parts that are restored in this order. */
export type DatabaseDump =
  | { readonly database: string; readonly whole: DumpObject }
  | {
    readonly database: string;
    readonly before: DumpObject;
    /** By their numbers; in any order, and at the same time. */
    readonly data: readonly DumpObject[];
    readonly after: DumpObject;
  };

/**
 * Puts the objects of each database together.
 *
 * @throws {IntegrityError} when a database has two dumps, or a part is missing or there twice.
 */
export function databaseDumps(
  { id }: Pick<BackupManifest, "id">,
  dumps: readonly DumpObject[],
): readonly DatabaseDump[] {
  const byDatabase = new Map<string, DumpObject[]>();
  for (const object of dumps) {
    const known = byDatabase.get(object.database);
    if (known) known.push(object);
    else byDatabase.set(object.database, [object]);
  }
  return [...byDatabase].map(([database, objects]) => {
    const [first, ...more] = objects;
    if (first!.section === undefined && more.length === 0) return { database, whole: first! };
    return inParts(id, { database, objects });
  });
}

function inParts(
  id: string,
  { database, objects }: { readonly database: string; readonly objects: readonly DumpObject[] },
): DatabaseDump {
  if (objects.some(({ section }) => section === undefined)) {
    throw new IntegrityError(`backup ${id} has two dumps of database ${JSON.stringify(database)}`);
  }
  const of = (wanted: ManifestObject["section"]) =>
    objects.filter(({ section }) => section === wanted);
  const [before, after] = [of("pre-data"), of("post-data")];
  const data = of("data").toSorted((a, b) => (a.part ?? 0) - (b.part ?? 0));
  const isWhole = before.length === 1 && after.length === 1 && data.length > 0 &&
    data.every(({ part }, index) => part === index + 1);
  if (isWhole) return { database, before: before[0]!, data, after: after[0]! };
  throw new IntegrityError(
    `the dump of database ${JSON.stringify(database)} in backup ${id} is not whole: it has ` +
      `${before.length} parts of pre-data, ${after.length} of post-data, and those with data are ` +
      (data.map(({ part }) => part).join(", ") || "missing"),
  );
}
