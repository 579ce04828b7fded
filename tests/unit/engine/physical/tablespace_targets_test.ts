import assert from "node:assert/strict";
import { UsageError } from "../../../../src/domain/errors.ts";
import { tablespaceTargets } from "../../../../src/engine/physical/tablespace_targets.ts";
import { samplePhysical } from "../../../support/manifests.ts";

const backup = samplePhysical({
  tablespaces: [{ oid: 16384, location: "/srv/fast" }, { oid: 16390, location: "/srv/big" }],
});

Deno.test("tablespaceTargets() moves those that are named, and leaves the others", () => {
  assert.deepEqual(tablespaceTargets(backup, new Map([["/srv/big/", "/mnt/new/"]])), [
    { oid: 16384, from: "/srv/fast", to: "/srv/fast" },
    { oid: 16390, from: "/srv/big", to: "/mnt/new" },
  ]);
});

Deno.test("tablespaceTargets() names the known locations when one is unknown", () => {
  assert.throws(
    () => tablespaceTargets(backup, new Map([["/srv/bgi", "/mnt/new"]])),
    (error) => error instanceof UsageError && /\/srv\/fast, \/srv\/big/.test(error.hint ?? ""),
  );
});

for (const to of ["", "relative/path", "/", "//"]) {
  Deno.test(`tablespaceTargets() refuses ${JSON.stringify(to)} as a location`, () => {
    assert.throws(() => tablespaceTargets(backup, new Map([["/srv/big", to]])), UsageError);
  });
}
