import assert from "node:assert/strict";
import type { DumpSection } from "../../../../src/catalog/catalog.ts";
import { IntegrityError } from "../../../../src/domain/errors.ts";
import { databaseDumps, type DumpObject } from "../../../../src/engine/logical/database_dumps.ts";
import { dumpName, dumpPartName } from "../../../../src/engine/logical/object_names.ts";

const BACKUP = { id: "20261123T022415Z-L" };

function object(database: string, section?: DumpSection, part?: number): DumpObject {
  return {
    key: `${database}/${section}/${part}`,
    role: "dump",
    database,
    ...(section && { section }),
    ...(part !== undefined && { part }),
    ...{ rawBytes: 1, storedBytes: 1, sha256: "0".repeat(64) },
  };
}

const [before, first, second, after] = [
  object("app", "pre-data"),
  object("app", "data", 1),
  object("app", "data", 2),
  object("app", "post-data"),
];

Deno.test("databaseDumps() puts parts together, in whatever order they are listed", () => {
  const whole = object("other");
  assert.deepEqual(databaseDumps(BACKUP, [after, second, whole, first, before]), [
    { database: "app", before, data: [first, second], after },
    { database: "other", whole },
  ]);
});

const broken: readonly (readonly [string, readonly DumpObject[]])[] = [
  ["no pre-data", [first, second, after]],
  ["no data", [before, after]],
  ["no post-data", [before, first, second]],
  ["a hole in the data", [before, first, object("app", "data", 3), after]],
  ["no first part", [before, second, after]],
  ["a part twice", [before, first, first, second, after]],
  ["pre-data twice", [before, before, first, after]],
  ["a whole dump besides", [before, first, after, object("app")]],
  ["two whole dumps", [object("app"), object("app")]],
];
for (const [what, objects] of broken) {
  Deno.test(`databaseDumps() refuses a dump with ${what}`, () => {
    assert.throws(() => databaseDumps(BACKUP, objects), IntegrityError);
  });
}

Deno.test("dumpPartName() is no other dump's name, and sorts as parts are restored", () => {
  const names = [before, first, second, after].map((part) => dumpPartName("a/b", part));
  assert.deepEqual(names, [
    "a~2Fb/1-pre-data.dump",
    "a~2Fb/2-data-0001.dump",
    "a~2Fb/2-data-0002.dump",
    "a~2Fb/3-post-data.dump",
  ]);
  assert.notEqual(dumpName("a/1-pre-data"), dumpPartName("a", before));
});
