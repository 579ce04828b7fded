/** The executable may run a few programs only, so it may send no signals: it must know all the same. */
import assert from "node:assert/strict";
import { isAlive } from "../../../src/postgres/is_alive.ts";
import { PROJECT_ROOT } from "../../support/paths.ts";

/** The number of a process that has ended. */
async function endedProcess(): Promise<number> {
  const child = new Deno.Command("true").spawn();
  await child.status;
  return child.pid;
}

Deno.test("isAlive() knows its own process, that of others, and one that has ended", async () => {
  assert.equal(await isAlive(Deno.pid), true);
  assert.equal(await isAlive(1), true);
  assert.equal(await isAlive(await endedProcess()), false);
});

Deno.test("isAlive() knows them where no signal may be sent", async () => {
  const script = `import { isAlive } from "${PROJECT_ROOT}src/postgres/is_alive.ts";
    console.log(String(await Promise.all(Deno.args.map((pid) => isAlive(Number(pid))))));`;
  const pids = [Deno.pid, 1, await endedProcess()].map(String);
  const flags = ["--allow-read", "--deny-write=/proc", "--allow-run=ps", "--no-prompt"];
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, script);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-config", ...flags, file, ...pids],
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
    assert.equal(text(stdout), "true,true,false", text(stderr));
  } finally {
    await Deno.remove(file);
  }
});
