/** Keeps the rules of the rooms that docs/architecture.md states, by reading the sources. */
import assert from "node:assert/strict";
import { PROJECT_ROOT as ROOT } from "../../support/paths.ts";
import { relativePath, sourceFiles } from "../../support/source_files.ts";

/** A file imports from lower levels only. Rooms of one level never meet. */
const LEVELS: Readonly<Record<string, number>> = {
  domain: 0,
  log: 0,
  postgres: 1,
  codec: 1,
  crypto: 1,
  storage: 1,
  config: 1,
  catalog: 2,
  engine: 3,
  service: 4,
  cli: 5,
};

/** The rooms that may be entered by any door; the others only by the file named after them. */
const OPEN_ROOMS = new Set(["domain", "log"]);

interface Import {
  readonly from: string;
  readonly to: string;
}

/** `src/storage/s3.ts` → `storage`; main.ts and mod.ts have none. */
function roomOf(path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

function stripComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:"'`])\/\/.*$/gm, "$1");
}

/** Every relative import, static, dynamic and by URL (workers), with paths from the root. */
function imports(path: string, text: string): Import[] {
  const found = stripComments(text).matchAll(
    /(?:\bfrom\s*|\bimport\s*\(?\s*|new URL\(\s*)"(\.{1,2}\/[^"]+\.ts)"/g,
  );
  return [...found].map(([, target]) => ({
    from: path,
    to: relativePath(ROOT, new URL(target!, `file://${ROOT}${path}`).pathname),
  }));
}

const files = await sourceFiles(ROOT, ["src", "main.ts", "mod.ts"]);
const allImports = files.flatMap(({ path, text }) => imports(path, text));

Deno.test("every folder under src is a room with a level", () => {
  const rooms = new Set(files.map(({ path }) => roomOf(path)).filter((room) => room !== undefined));
  assert.deepEqual([...rooms].filter((room) => LEVELS[room!] === undefined), []);
});

Deno.test("a file imports only from its own room and from lower levels", () => {
  const wrong = allImports.filter(({ from, to }) => {
    const [room, target] = [roomOf(from), roomOf(to)];
    if (!room || !target || room === target) return false;
    if (room === "codec" && target === "crypto") return false;
    return LEVELS[target]! >= LEVELS[room]!;
  });
  assert.deepEqual(wrong, []);
});

Deno.test("a room is entered by its face, except by cli, which builds the adapters", () => {
  const wrong = allImports.filter(({ from, to }) => {
    const [room, target] = [roomOf(from), roomOf(to)];
    if (!target || room === target || OPEN_ROOMS.has(target)) return false;
    if (room === "cli" || from === "mod.ts") return false;
    if (from === "main.ts") return target !== "cli";
    return to !== `src/${target}/${target}.ts`;
  });
  assert.deepEqual(wrong, []);
});

Deno.test("the physical and the logical engine do not know each other", () => {
  const wrong = allImports.filter(({ from, to }) =>
    (from.startsWith("src/engine/physical/") && to.startsWith("src/engine/logical/")) ||
    (from.startsWith("src/engine/logical/") && to.startsWith("src/engine/physical/"))
  );
  assert.deepEqual(wrong, []);
});

Deno.test("there are no import cycles", () => {
  const next = new Map<string, string[]>();
  for (const { from, to } of allImports) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    assert.ok(!trail.includes(path), `cycle: ${[...trail, path].join(" -> ")}`);
    if (done.has(path)) return;
    for (const to of next.get(path) ?? []) visit(to, [...trail, path]);
    done.add(path);
  };
  for (const { path } of files) visit(path, []);
});

const CONFINED = [
  {
    what: "Deno.args, Deno.exit and Deno.env",
    pattern: /\bDeno\.(args|exit|env|exitCode)\b|\bprocess\.(env|argv|exit)\b/,
    allowed: /^(main\.ts|src\/(cli|config)\/)/,
  },
  {
    what: "the time of day",
    pattern: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/,
    allowed: /^src\/(domain\/clock\.ts|cli\/)/,
  },
  { what: "console", pattern: /\bconsole\./, allowed: /^src\/cli\// },
] as const;

for (const { what, pattern, allowed } of CONFINED) {
  Deno.test(`${what} is used only where the architecture says`, () => {
    const wrong = files.filter(({ path, text }) =>
      !allowed.test(path) && pattern.test(stripComments(text))
    );
    assert.deepEqual(wrong.map(({ path }) => path), []);
  });
}

Deno.test("no file is longer than 320 lines", () => {
  const long = files.map(({ path, text }) => ({ path, lines: text.split("\n").length }))
    .filter(({ lines }) => lines > 320);
  assert.deepEqual(long, []);
});
