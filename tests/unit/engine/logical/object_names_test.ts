import assert from "node:assert/strict";
import fc from "fast-check";
import { IntegrityError, NothingMatchesError } from "../../../../src/domain/errors.ts";
import { databaseArgument } from "../../../../src/engine/logical/connection_string.ts";
import { dumpName, selectDumps } from "../../../../src/engine/logical/object_names.ts";
import { sampleManifest } from "../../../support/manifests.ts";

const NAMES = [
  ["app", "app.dump"],
  ["App_2", "App_2.dump"],
  ["a.b-c", "a.b-c.dump"],
  [".hidden", "~2Ehidden.dump"],
  ["-x", "~2Dx.dump"],
  ["..", "~2E..dump"],
  ["a/b", "a~2Fb.dump"],
  ["~", "~7E.dump"],
  ["é\n", "~C3~A9~0A.dump"],
] as const;

for (const [database, name] of NAMES) {
  Deno.test(`dumpName() of ${JSON.stringify(database)} is ${name}`, () => {
    assert.equal(dumpName(database), name);
  });
}

Deno.test("dumpName() is a safe name and a different one for every database", () => {
  const names = fc.string({ unit: "binary", minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(names, names, (one, other) => {
      assert.match(dumpName(one), /^[A-Za-z0-9_~][A-Za-z0-9._~-]*\.dump$/);
      if (one.toWellFormed() !== other.toWellFormed()) {
        assert.notEqual(dumpName(one), dumpName(other));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("databaseArgument() protects quotes and backslashes", () => {
  assert.equal(databaseArgument("it's \\ a=b"), "--dbname=dbname='it\\'s \\\\ a=b'");
});

Deno.test("selectDumps() takes the named databases, and the globals with them", () => {
  const [globals, app] = sampleManifest().objects;
  const other = { ...app!, key: "other.dump.gz", database: "other" };
  const backup = sampleManifest({ objects: [globals!, app!, other] });
  assert.deepEqual(selectDumps(backup), { globals, dumps: [app, other] });
  assert.deepEqual(selectDumps(backup, ["other"]), { globals, dumps: [other] });
  assert.throws(() => selectDumps(backup, ["app", "x", "y"]), (error) => {
    assert.ok(error instanceof NothingMatchesError);
    assert.match(error.message, /no databases "x", "y" in backup/);
    assert.equal(error.hint, 'there are: "app", "other"');
    return true;
  });
});

Deno.test("selectDumps() refuses two dumps of one database", () => {
  const [globals, app] = sampleManifest().objects;
  const objects = [globals!, app!, { ...app!, key: "again.dump.gz" }];
  assert.throws(() => selectDumps(sampleManifest({ objects })), IntegrityError);
});
