/**
 * What the executable may not do, tried under its permission set; and compiled, when `DENORT_BIN`
 * names the runtime stub of the Deno in the folder `bin` beside it.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { PROJECT_ROOT } from "../support/paths.ts";

const PROBE = `${PROJECT_ROOT}tests/support/permission_probe.ts`;

interface Outcome {
  readonly what: string;
  readonly got: string;
}

async function outcomes(
  program: string,
  args: readonly string[],
): Promise<{ readonly forbidden: readonly Outcome[]; readonly allowed: readonly Outcome[] }> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd: PROJECT_ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

function check({ forbidden, allowed }: Awaited<ReturnType<typeof outcomes>>): void {
  assert.ok(forbidden.length >= 30, `${forbidden.length} actions`);
  assert.deepEqual(forbidden.filter(({ got }) => got !== "denied"), []);
  assert.deepEqual(allowed.filter(({ got }) => got !== "allowed"), []);
}

Deno.test("42 forbidden actions are denied under the executable's permission set", async () => {
  const args = ["run", "--quiet", "--no-prompt", "--permission-set=backupctl", PROBE];
  check(await outcomes(Deno.execPath(), args));
});

Deno.test("they are denied from inside an executable, too", async () => {
  const stub = Deno.env.get("DENORT_BIN");
  if (!stub) {
    console.log("not tried: DENORT_BIN names no runtime stub to compile with");
    return;
  }
  const folder = await Deno.makeTempDir({ prefix: "backupctl-probe-" });
  try {
    const probe = `${folder}/probe`;
    const compiled = await new Deno.Command(`${dirname(stub)}/bin/deno`, {
      args: [
        ...["compile", "--quiet", "--no-check", "--permission-set=backupctl"],
        ...["--output", probe, PROBE],
      ],
      cwd: PROJECT_ROOT,
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    assert.ok(compiled.success, new TextDecoder().decode(compiled.stderr));
    check(await outcomes(probe, []));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
