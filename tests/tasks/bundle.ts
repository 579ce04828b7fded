/**
 * `deno task bundle`: main.ts with all that it imports as `dist/bundle/main.js`. What is imported
 * dynamically, and each worker, is a file of its own beside it: a program that loads only what it
 * needs starts in half the time of one that parses everything (60 ms instead of 100).
 *
 * @module
 */
import { createHash } from "node:crypto";
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
  const changes = [...workers.map(bundledWorker), ...await buildMarks()];
  for (const file of files) await change(`${folder}/${file}`, changes);
  return files;
}

interface Change {
  readonly from: string;
  readonly to: string;
}

/** `new URL("./codec_worker.ts", import.meta.url)` names the bundled worker from now on. */
function bundledWorker(worker: string): Change {
  const name = worker.slice(worker.lastIndexOf("/") + 1);
  const bundled = worker.replace(/\.ts$/, ".js");
  return { from: `new URL("./${name}"`, to: `new URL("./${bundled}"` };
}

/** What src/cli/build.ts leaves open; the commit stays unknown outside of a checkout. */
async function buildMarks(): Promise<Change[]> {
  const lock = await Deno.readFile(`${PROJECT_ROOT}deno.lock`);
  const sha256 = createHash("sha256").update(lock).digest("hex");
  const commit = await checkedOutCommit();
  return [
    { from: "@lockfile_sha256@", to: sha256 },
    ...(commit === undefined ? [] : [{ from: "@commit@", to: commit }]),
  ];
}

/** With `-dirty` behind it when files differ from it; undefined when there is no git here. */
async function checkedOutCommit(): Promise<string | undefined> {
  try {
    const args = ["describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"];
    const { success, stdout } = await new Deno.Command("git", { args, cwd: PROJECT_ROOT }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch {
    return undefined;
  }
}

/** The same sources give the same bytes: the executable keeps the files' times, too. */
async function change(path: string, changes: readonly Change[]): Promise<void> {
  const text = await Deno.readTextFile(path);
  const changed = changes.reduce((all, { from, to }) => all.replaceAll(from, to), text);
  if (changed !== text) await Deno.writeTextFile(path, changed);
  await Deno.utime(path, 0, 0);
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
