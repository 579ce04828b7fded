import assert from "node:assert/strict";
import { DestinationError } from "../../../src/domain/errors.ts";
import { inTemporaryFolder } from "../../../src/domain/in_temporary_folder.ts";

Deno.test("inTemporaryFolder() names what is wrong with the folder, and TMPDIR", () => {
  const make = () => Deno.makeTempDirSync({ dir: "/nonexistent", prefix: "x-" });
  assert.throws(() => inTemporaryFolder(make), (error) => {
    assert.ok(error instanceof DestinationError);
    assert.match(error.message, /^no temporary file can be made: No such file or directory: /);
    assert.match(error.hint ?? "", /TMPDIR/);
    return true;
  });
});
