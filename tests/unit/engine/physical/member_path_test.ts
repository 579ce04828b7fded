import assert from "node:assert/strict";
import { posix } from "node:path";
import fc from "fast-check";
import { IntegrityError } from "../../../../src/domain/errors.ts";
import { memberPath } from "../../../../src/engine/physical/member_path.ts";

const folders = { destination: "/new/data", tablespaces: new Map([[16384, "/new/fast"]]) };

const good = [
  { name: "PG_VERSION", path: "/new/data/PG_VERSION" },
  { name: "base/5/1255", path: "/new/data/base/5/1255" },
  { name: "pg_tblspc", path: "/new/data/pg_tblspc" },
  { name: "pg_tblspc/16384/PG_15_202209061/5/1", path: "/new/fast/PG_15_202209061/5/1" },
  { name: "..data", path: "/new/data/..data" },
  { name: "-rf", path: "/new/data/-rf" },
  { name: "a\nb", path: "/new/data/a\nb" },
];
for (const { name, path } of good) {
  Deno.test(`memberPath() leads ${JSON.stringify(name)} to ${JSON.stringify(path)}`, () => {
    assert.equal(memberPath(name, folders), path);
  });
}

const hostile = [
  "",
  ".",
  "..",
  "/etc/passwd",
  "../up",
  "base/../../up",
  "base/..",
  "base//5",
  "base/./5",
  "pg_tblspc/16385/x",
  "pg_tblspc/016384/x",
  "pg_tblspc/evil/x",
  "pg_tblspc/16384/../x",
];
for (const name of hostile) {
  Deno.test(`memberPath() refuses ${JSON.stringify(name)}`, () => {
    assert.throws(() => memberPath(name, folders), IntegrityError);
  });
}

Deno.test("memberPath() never leads out of the folders", () => {
  const segment = fc.constantFrom("..", ".", "", "a", "pg_tblspc", "16384", "/", "..\\", "\0", "…");
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 8 }), (segments) => {
      const name = segments.join("/");
      let path;
      try {
        path = memberPath(name, folders);
      } catch (error) {
        assert.ok(error instanceof IntegrityError);
        return;
      }
      assert.equal(posix.normalize(path), path);
      assert.ok(path.startsWith("/new/data/") || path.startsWith("/new/fast"), path);
    }),
    { numRuns: 2000 },
  );
});
