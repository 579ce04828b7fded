import assert from "node:assert/strict";
import { isAlive, processMark } from "../../../src/cli/schedule/process_mark.ts";
import { cleanEnvironment } from "../../support/run_cli.ts";
import { PROJECT_ROOT } from "../../support/paths.ts";

const MODULE = `${PROJECT_ROOT}src/cli/schedule/process_mark.ts`;

Deno.test("isAlive() tells a process from its end, and from a later one with its number", async () => {
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  const mark = await processMark(child.pid);
  assert.ok(mark.start);
  assert.equal(await isAlive(mark), true);
  assert.equal(await isAlive({ pid: child.pid, start: "1" }), false);
  child.kill("SIGKILL");
  await child.status;
  assert.equal(await isAlive(mark), false);
});

/** What a process with narrow rights, as the executable has, says of itself and of a dead one. */
async function askNarrowed(rights: readonly string[]): Promise<unknown> {
  const script = `const { isAlive, processMark } = await import(${JSON.stringify(MODULE)});
    const mark = await processMark(Deno.pid);
    const dead = await isAlive({ pid: 2 ** 22 + 1, start: "x" });
    console.log(JSON.stringify([mark.start !== undefined, await isAlive(mark) ?? null,
      await isAlive({ ...mark, start: "Mon Jan  1 00:00:00 2024" }) ?? null, dead ?? null]));`;
  const file = await Deno.makeTempFile({ suffix: ".mjs" });
  await Deno.writeTextFile(file, script);
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--no-lock", "--no-prompt", ...rights, file],
    env: cleanEnvironment(),
  }).output();
  await Deno.remove(file);
  const text = new TextDecoder().decode(stdout);
  assert.ok(text, new TextDecoder().decode(stderr));
  return JSON.parse(text);
}

Deno.test("isAlive() asks ps where /proc may not be read", async () => {
  const rights = ["--allow-read", "--deny-read=/etc/shadow", "--allow-run=ps", "--allow-env"];
  assert.deepEqual(await askNarrowed(rights), [true, true, false, false]);
});

Deno.test("isAlive() says that it cannot tell where it may do neither", async () => {
  const rights = ["--allow-read", "--deny-read=/etc/shadow", "--allow-env"];
  assert.deepEqual(await askNarrowed(rights), [false, null, null, null]);
});
