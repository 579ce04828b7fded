import type { ManifestObject } from "../../catalog/catalog.ts";
import { IntegrityError } from "../../domain/errors.ts";
import type { HeldSnapshot, SnapshotTable } from "../../postgres/postgres.ts";
import type { BackupParts } from "../parts.ts";
import { type DumpedPart, type DumpOptions, type DumpPart, dumpPart } from "./dump_database.ts";
import { mapUntilFailure } from "./map_until_failure.ts";
import { dumpPartName } from "./object_names.ts";
import { planParts } from "./plan_parts.ts";

/** A part that is to be dumped, with a guess at its size. */
interface PlannedPart {
  readonly part: DumpPart;
  readonly bytes: number;
  /** The tables that must be in it. */
  readonly tables: readonly SnapshotTable[];
}

/**
 * Behind somebody who waits to lock the table, and so behind the session that holds the snapshot, a
 * pg_dump would wait for ever.
 */
const LOCK_WAIT = "--lock-wait-timeout=5s";

/**
 * Dumps one database in parts, all of one moment: what comes before the data, the data in several
 * streams, what comes behind it. The snapshot is held, and the tables are locked, until every one of
 * them has ended.
 *
 * @returns undefined when its tables are not worth it.
 * @throws {PostgresError} with what pg_dump said last.
 * @throws {IntegrityError} when a table would be in no part, or in two; what was stored is removed.
 */
export async function dumpInParts(
  parts: BackupParts,
  options: DumpOptions,
): Promise<readonly ManifestObject[] | undefined> {
  const { database, slot, options: { split, signal } } = options;
  if (!parts.snapshots || !split) return undefined;
  await using snapshot = await parts.snapshots.hold(database, signal ? { signal } : {});
  const groups = planParts(snapshot.tables, split);
  if (groups.length === 0) return undefined;
  const stored: string[] = [];
  const dump = async (part: DumpPart, signal: AbortSignal | undefined): Promise<DumpedPart> => {
    await snapshot.check();
    const given = { ...options.options, ...(signal && { signal }) };
    const dumped = await dumpPart(parts, { ...options, part, options: given });
    stored.push(slot.folder + dumped.object.key);
    return dumped;
  };
  try {
    const before = await dump(schemaPart(database, { snapshot, section: "pre-data" }), signal);
    const planned = planOf(database, { snapshot, groups });
    const data = await mapUntilFailure(planned, {
      ...{ limit: split.streams, signal },
      map: ({ part }, signal) => dump(part, signal),
    });
    const after = await dump(schemaPart(database, { snapshot, section: "post-data" }), signal);
    await snapshot.check();
    checkTables(planned, data);
    const inOrder = data.map(({ object }) => object)
      .toSorted((a, b) => (a.part ?? 0) - (b.part ?? 0));
    return [before.object, ...inOrder, after.object];
  } catch (error) {
    await parts.store.delete(stored).catch(() => {}); // no manifest names them
    throw error;
  }
}

function schemaPart(
  database: string,
  { snapshot, section }: {
    readonly snapshot: HeldSnapshot;
    readonly section: "pre-data" | "post-data";
  },
): DumpPart {
  // Without the tables in its contents pg_restore does not know which foreign keys it must not add
  // at the same time, and several jobs run into deadlocks. identify_locking_dependencies().
  const sections = section === "pre-data" ? ["pre-data"] : ["pre-data", "post-data"];
  const args = [
    ...sections.map((name) => `--section=${name}`),
    ...[`--snapshot=${snapshot.id}`, LOCK_WAIT],
  ];
  return { name: dumpPartName(database, { section }), section, args };
}

/** Large objects, sequences, and the tables that are in no group are the last part's. */
function planOf(
  database: string,
  { snapshot: { id, tables, largeObjectBytes }, groups }: {
    readonly snapshot: HeldSnapshot;
    readonly groups: readonly (readonly SnapshotTable[])[];
  },
): readonly PlannedPart[] {
  const common = ["--section=data", `--snapshot=${id}`, LOCK_WAIT, "--strict-names"];
  const plan = (number: number, args: readonly string[]): DumpPart => ({
    name: dumpPartName(database, { section: "data", part: number }),
    ...{ section: "data", number, args: [...common, ...args] },
  });
  const named = groups.flat();
  const rest: PlannedPart = {
    part: plan(groups.length + 1, named.map((table) => `--exclude-table-data=${pattern(table)}`)),
    bytes: sum(tables) - sum(named) + largeObjectBytes,
    tables: [],
  };
  const chosen = groups.map((tables, index): PlannedPart => ({
    part: plan(index + 1, tables.map((table) => `--table=${pattern(table)}`)),
    bytes: sum(tables),
    tables,
  }));
  return [...chosen, rest].toSorted((a, b) => b.bytes - a.bytes);
}

/** In double quotes nothing is special but a double quote. PostgreSQL docs, psql, "Patterns". */
function pattern({ schema, name }: Pick<SnapshotTable, "schema" | "name">): string {
  return [schema, name].map((word) => `"${word.replaceAll('"', '""')}"`).join(".");
}

/** @throws {IntegrityError} unless every table is where it was to be, and nowhere else. */
function checkTables(planned: readonly PlannedPart[], dumped: readonly DumpedPart[]): void {
  const seen = new Set<string>();
  for (const [index, { tables }] of dumped.entries()) {
    const held = new Set(tables.map(pattern));
    const missing = planned[index]!.tables.map(pattern).find((table) => !held.has(table));
    if (missing !== undefined) throw new IntegrityError(`the rows of ${missing} were not dumped`);
    const twice = [...held].find((table) => seen.has(table));
    if (twice !== undefined) throw new IntegrityError(`the rows of ${twice} were dumped twice`);
    for (const table of held) seen.add(table);
  }
}

function sum(tables: readonly SnapshotTable[]): number {
  return tables.reduce((total, { bytes }) => total + bytes, 0);
}
