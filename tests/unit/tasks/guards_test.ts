import assert from "node:assert/strict";
import { GUARDS } from "../../guards/guards.ts";
import { PROJECT_ROOT } from "../../support/paths.ts";
import { withoutGuard } from "../../tasks/guards.ts";

Deno.test("every guard of the list stands in its file once, and has its test", async () => {
  for (const guard of GUARDS) {
    const source = await Deno.readTextFile(`${PROJECT_ROOT}${guard.file}`);
    const mutated = withoutGuard(source, guard);
    assert.ok(mutated !== undefined, `"${guard.name}" is not exactly once in ${guard.file}`);
    assert.notEqual(mutated, source, guard.name);
    await Deno.stat(`${PROJECT_ROOT}${guard.test}`);
  }
});

Deno.test("the list names at least 30 guards, each once", () => {
  assert.ok(GUARDS.length >= 30, `${GUARDS.length}`);
  assert.equal(new Set(GUARDS.map(({ name }) => name)).size, GUARDS.length);
});
