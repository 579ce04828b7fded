import { UsageError } from "../../domain/errors.ts";

/** Tables that are taken out of a dump; pg_restore's `--table` and `--schema`. */
export interface TableChoice {
  /** Absent: a table of that name in whatever schema. */
  readonly schema: string | undefined;
  readonly names: readonly string[];
}

/** A name, plain or in double quotes, and perhaps another one behind a dot. */
const NAME = String.raw`("(?:[^"]|"")+"|[^".]+)`;
const TABLE = new RegExp(`^${NAME}(?:\\.${NAME})?$`);

/**
 * Reads `table` or `schema.table`, with double quotes around names that have a dot. Names are taken
 * as they are: nothing is put into lower case.
 *
 * @throws {UsageError} when one is no name, or they are of several schemas.
 */
export function chooseTables(tables: readonly string[]): TableChoice {
  const found = tables.map((table) => {
    const [, first, second] = TABLE.exec(table) ?? [];
    if (first === undefined) {
      throw new UsageError(
        `${JSON.stringify(table)} is not the name of a table`,
        'such as orders, public.orders or "odd.name"',
      );
    }
    if (second === undefined) return { schema: undefined, name: unquoted(first) };
    return { schema: unquoted(first), name: unquoted(second) };
  });
  const schema = found[0]?.schema;
  if (found.some((table) => table.schema !== schema)) {
    throw new UsageError(
      "the tables are of different schemas",
      "restore the tables of each schema by a call of its own",
    );
  }
  return { schema, names: found.map(({ name }) => name) };
}

/** Whether any of `tables` is chosen. */
export function choosesAny(
  { schema, names }: TableChoice,
  tables: readonly { readonly schema: string; readonly name: string }[],
): boolean {
  return tables.some((table) =>
    names.includes(table.name) && (schema === undefined || schema === table.schema)
  );
}

/** What pg_restore is told. */
export function tableArguments({ schema, names }: TableChoice): readonly string[] {
  const own = names.map((name) => `--table=${name}`);
  return schema === undefined ? own : [...own, `--schema=${schema}`];
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}
