/**
 * `deno task compile [--deno FILE]`: one executable, `dist/backupctl`, whose permissions are the set
 * "backupctl" of deno.json. `--deno` names the Deno that compiles (2.6 or later), for a runtime stub
 * that `DENORT_BIN` names.
 *
 * @module
 */
import { parseArgs } from "node:util";
import project from "../../deno.json" with { type: "json" };
import { PROJECT_ROOT } from "../support/paths.ts";
import { bundle, DIST } from "./bundle.ts";

/** Compiles, and returns the path of the executable. */
export async function compile(deno: string): Promise<string> {
  const entry = "main.js";
  const folder = `${DIST}/bundle`;
  const loaded = (await bundle(folder)).filter((file) => file !== entry);
  const output = `${DIST}/backupctl`;
  const config = `${DIST}/deno.json`;
  await Deno.writeTextFile(config, JSON.stringify({ permissions: await permissionsFor(deno) }));
  const { success } = await new Deno.Command(deno, {
    args: [
      ...["compile", "--quiet", "--no-check", "--config", config, "--permission-set=backupctl"],
      // It would be read from the temporary folder, where every user of the host can put one.
      "--no-code-cache",
      ...loaded.flatMap((file) => ["--include", `${folder}/${file}`]),
      ...["--output", output, `${folder}/${entry}`],
    ],
    cwd: PROJECT_ROOT,
    stdin: "null",
  }).spawn().status;
  if (!success) {
    throw new Error("deno compile failed; without network access, DENORT_BIN names a runtime stub");
  }
  return output;
}

/**
 * The permissions of deno.json as `deno` can grant them. main.ts narrows the umask: Deno 2.6 asks
 * for nothing there, and Deno 2.9 for a permission that its lists do not know, so that only the
 * whole of `sys`, which reads what kind of machine it is, will do.
 */
export async function permissionsFor(deno: string): Promise<Record<string, unknown>> {
  const { backupctl } = project.permissions;
  const child = new Deno.Command(deno, {
    args: ["run", "--quiet", "--no-prompt", `--allow-sys=${backupctl.sys.join()}`, "-"],
    ...{ stdin: "piped", stdout: "null", stderr: "null" },
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode("Deno.umask(0o077);"));
  await writer.close();
  return { backupctl: (await child.status).success ? backupctl : { ...backupctl, sys: true } };
}

if (import.meta.main) {
  const { values } = parseArgs({ args: Deno.args, options: { deno: { type: "string" } } });
  console.log(await compile(values.deno ?? Deno.execPath()));
}
