/**
 * `deno task bundle`: main.ts with all that it imports as `dist/bundle/main.js`. What is imported
 * dynamically, and each worker, is a file of its own beside it: a program that loads only what it
 * needs starts in half the time of one that parses everything (60 ms instead of 100).
 *
 * @module
 */
import { PROJECT_ROOT } from "../support/paths.ts";
import { sourceFiles } from "../support/source_files.ts";

/** The folder that bundles and executables go into. */
export const DIST = `${PROJECT_ROOT}dist`;

/**
 * Bundles into `folder`, which is emptied first.
 *
 * @returns the paths of the files below it; `main.js` is the entry.
 */
export async function bundle(folder: string): Promise<readonly string[]> {
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  const sources = (await sourceFiles(PROJECT_ROOT, ["src"])).map(({ path }) => path);
  const workers = sources.filter((path) => path.endsWith("_worker.ts"));
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--code-splitting", "--outdir", folder, "main.ts", ...workers],
    cwd: PROJECT_ROOT,
    stdin: "null",
  }).spawn().status;
  if (!success) throw new Error("deno bundle failed");
  const files = await filesBelow(folder);
  for (const file of files) await pointAtBundledWorkers(`${folder}/${file}`, workers);
  return files;
}

/** `new URL("./codec_worker.ts", import.meta.url)` names the bundled worker from now on. */
async function pointAtBundledWorkers(path: string, workers: readonly string[]): Promise<void> {
  const text = await Deno.readTextFile(path);
  const pointed = workers.reduce((changed, worker) => {
    const name = worker.slice(worker.lastIndexOf("/") + 1);
    const bundled = worker.replace(/\.ts$/, ".js");
    return changed.replaceAll(`new URL("./${name}"`, `new URL("./${bundled}"`);
  }, text);
  if (pointed !== text) await Deno.writeTextFile(path, pointed);
}

async function filesBelow(folder: string, below = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(`${folder}/${below}`)) {
    const path = `${below}${entry.name}`;
    if (entry.isDirectory) found.push(...await filesBelow(folder, `${path}/`));
    else found.push(path);
  }
  return found.sort();
}

if (import.meta.main) {
  const files = await bundle(`${DIST}/bundle`);
  console.log(`dist/bundle/main.js and ${files.length - 1} files that it loads when needed`);
}
