/**
 * `deno task bundle`: main.ts with all that it imports as `dist/backupctl.js`, and each worker as a
 * file of its own beside it. Dynamic imports stay lazy inside of the bundle.
 *
 * @module
 */
import { basename } from "node:path";
import { PROJECT_ROOT } from "../support/paths.ts";
import { sourceFiles } from "../support/source_files.ts";

/** The folder that bundles and executables go into. */
export const DIST = `${PROJECT_ROOT}dist`;

/** Bundles, and returns the names of the workers' files in {@link DIST}. */
export async function bundle(): Promise<readonly string[]> {
  await Deno.mkdir(DIST, { recursive: true });
  const sources = (await sourceFiles(PROJECT_ROOT, ["src"])).map(({ path }) => path);
  const workers = sources.filter((path) => path.endsWith("_worker.ts"));
  await bundleFile("main.ts", "backupctl.js");
  for (const path of workers) await bundleFile(path, bundledName(path));
  return workers.map(bundledName);
}

function bundledName(path: string): string {
  return basename(path).replace(/\.ts$/, ".js");
}

async function bundleFile(entry: string, output: string): Promise<void> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--output", `${DIST}/${output}`, entry],
    cwd: PROJECT_ROOT,
    stdin: "null",
  }).spawn().status;
  if (!success) throw new Error(`deno bundle ${entry} failed`);
  await pointAtBundledWorkers(`${DIST}/${output}`);
}

/** `new URL("./codec_worker.ts", import.meta.url)` names a file beside the bundle from now on. */
async function pointAtBundledWorkers(path: string): Promise<void> {
  const text = await Deno.readTextFile(path);
  await Deno.writeTextFile(
    path,
    text.replace(
      /new URL\("[^"]*?([a-z_]+_worker)\.ts", import\.meta\.url\)/g,
      'new URL("./$1.js", import.meta.url)',
    ),
  );
}

if (import.meta.main) {
  const workers = await bundle();
  console.log(["dist/backupctl.js", ...workers.map((name) => `dist/${name}`)].join("\n"));
}
