/**
 * `deno task compile [--deno FILE]`: one executable, `dist/backupctl`, whose permissions are the set
 * "backupctl" of deno.json. `--deno` names the Deno that compiles (2.6 or later), for a runtime stub
 * that `DENORT_BIN` names.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { PROJECT_ROOT } from "../support/paths.ts";
import { bundle, DIST } from "./bundle.ts";

/** Compiles, and returns the path of the executable. */
export async function compile(deno: string): Promise<string> {
  const entry = "main.js";
  const folder = `${DIST}/bundle`;
  const loaded = (await bundle(folder)).filter((file) => file !== entry);
  const output = `${DIST}/backupctl`;
  const { success } = await new Deno.Command(deno, {
    args: [
      ...["compile", "--quiet", "--no-check", "--permission-set=backupctl"],
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

if (import.meta.main) {
  const { values } = parseArgs({ args: Deno.args, options: { deno: { type: "string" } } });
  console.log(await compile(values.deno ?? Deno.execPath()));
}
