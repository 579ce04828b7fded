/**
 * `deno task guards [TEXT]`: takes out each guard of tests/guards whose name holds TEXT, in a copy
 * of the project, and runs the test that must miss it. Prints a table, and ends with 1 unless every
 * test was green before and red then.
 *
 * @module
 */
import type { Guard } from "../guards/guard.ts";
import { GUARDS } from "../guards/guards.ts";
import { PROJECT_ROOT } from "../support/paths.ts";

/** What is left out of the copy. */
const NOT_COPIED: ReadonlySet<string> = new Set([".git", ".test", "dist", "coverage"]);
/** A test that hangs without its guard has missed it, too. */
const LONGEST_MS = 180_000;

/** What became of a run of tests. */
type Outcome = "green" | "red" | "hangs" | "does not run";

/** Copies a folder without what is made by tools. */
async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory, isFile } of Deno.readDir(from)) {
    if (NOT_COPIED.has(name)) continue;
    if (isDirectory) await copyTree(`${from}/${name}`, `${to}/${name}`);
    if (isFile) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

/** Runs the guard's test as the project in `root` stands. */
async function runTest(root: string, { test, filter }: Guard): Promise<Outcome> {
  const filtered = filter === undefined ? [] : ["--filter", filter];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", "--no-check", "--fail-fast", ...filtered, test],
    cwd: root,
    env: { NO_COLOR: "1" },
    ...{ stdin: "null", stdout: "piped", stderr: "null" },
  }).spawn();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
  }, LONGEST_MS);
  const { stdout } = await child.output();
  clearTimeout(timer);
  if (isLate) return "hangs";
  const [, passed, failed] = /\| (\d+) passed.*\| (\d+) failed/.exec(
    new TextDecoder().decode(stdout),
  ) ?? [];
  if (passed === undefined || (passed === "0" && failed === "0")) return "does not run";
  return failed === "0" ? "green" : "red";
}

/** The text with the guard taken out; undefined when it does not stand there exactly once. */
export function withoutGuard(source: string, { text, replacement }: Guard): string | undefined {
  const [before, after, ...more] = source.split(text);
  return after === undefined || more.length > 0 ? undefined : `${before}${replacement}${after}`;
}

/** Takes the guard out, runs its test, puts the guard back. */
async function tryWithout(root: string, guard: Guard): Promise<Outcome | "is not in its file"> {
  const path = `${root}/${guard.file}`;
  const source = await Deno.readTextFile(path);
  const mutated = withoutGuard(source, guard);
  if (mutated === undefined) return "is not in its file";
  await Deno.writeTextFile(path, mutated);
  try {
    return await runTest(root, guard);
  } finally {
    await Deno.writeTextFile(path, source);
  }
}

async function main([wanted = ""]: readonly string[]): Promise<number> {
  const guards = GUARDS.filter(({ name }) => name.includes(wanted));
  const root = await Deno.makeTempDir({ prefix: "backupctl-guards-" });
  const before = new Map<string, Outcome>();
  const width = Math.max(...guards.map(({ name }) => name.length));
  let missed = 0;
  try {
    await copyTree(PROJECT_ROOT.replace(/\/$/, ""), root);
    console.log(`${"guard taken out".padEnd(width)}  test          seconds  where`);
    for (const guard of guards) {
      const tests = `${guard.test} ${guard.filter ?? ""}`;
      const started = performance.now();
      const whole = before.get(tests) ?? await runTest(root, guard);
      before.set(tests, whole);
      const found = whole === "green" ? await tryWithout(root, guard) : `was ${whole}`;
      if (found !== "red" && found !== "hangs") missed += 1;
      const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(7);
      console.log(`${guard.name.padEnd(width)}  ${found.padEnd(12)}  ${seconds}  ${guard.test}`);
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
  console.log(`\n${guards.length - missed} of ${guards.length} guards are missed when taken out`);
  return missed === 0 && guards.length > 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
