/** PostgreSQL runs wal-push for every segment: what it loads is held to a budget. */
import assert from "node:assert/strict";
import { PROJECT_ROOT as ROOT } from "../../support/paths.ts";
import { relativePath } from "../../support/source_files.ts";

/** What main.ts and the commands load one after the other on the WAL path. */
const STEPS = {
  "a call that finds its mark": [
    "main.ts",
    "src/cli/wal/run_wal.ts",
    "src/cli/wal/wal_push_command.ts",
  ],
  "a push to S3": [
    "src/engine/wal/wal_push.ts",
    "src/engine/wal/push_ahead.ts",
    "src/storage/s3_light.ts",
  ],
  "a push to a folder": ["src/storage/directory.ts"],
  "a fetch": ["src/cli/wal/wal_fetch_command.ts"],
  "a backlog": ["src/cli/wal/wal_backlog_command.ts"],
} as const;

/** Comments included; bundled and compiled, it is about a third. */
const BUDGET = { modules: 75, bytes: 280_000 };

interface Loaded {
  readonly modules: Map<string, number>;
  readonly packages: Set<string>;
}

/** Follows static imports of values; types are erased, and dynamic imports are steps of their own. */
async function load(path: string, loaded: Loaded): Promise<void> {
  if (loaded.modules.has(path)) return;
  const text = await Deno.readTextFile(ROOT + path);
  loaded.modules.set(path, text.length);
  for (const [, clause, target] of text.matchAll(/^(?:import|export) ([^;]*?)from\s+"([^"]+)"/gm)) {
    if (isTypesOnly(clause!)) continue;
    if (!target!.startsWith(".")) loaded.packages.add(target!);
    else await load(relativePath(ROOT, new URL(target!, `file://${ROOT}${path}`).pathname), loaded);
  }
}

function isTypesOnly(clause: string): boolean {
  if (clause.startsWith("type ")) return true;
  const names = /^\{([^}]*)\}\s*$/.exec(clause)?.[1];
  return names !== undefined && names.split(",").every((name) => /^\s*(type\s|$)/.test(name));
}

Deno.test("the WAL path loads no package, no worker, and little of our own", async (t) => {
  const loaded: Loaded = { modules: new Map(), packages: new Set() };
  for (const [step, entries] of Object.entries(STEPS)) {
    await t.step(step, async () => {
      for (const entry of entries) await load(entry, loaded);
      const packages = [...loaded.packages].filter((name) => !name.startsWith("node:"));
      assert.deepEqual(packages, []);
      const workers = [...loaded.modules.keys()].filter((path) => /worker/.test(path));
      assert.deepEqual(workers, []);
    });
  }
  const bytes = [...loaded.modules.values()].reduce((sum, length) => sum + length, 0);
  const figures = `${loaded.modules.size} modules, ${bytes} bytes`;
  assert.ok(loaded.modules.size <= BUDGET.modules, figures);
  assert.ok(bytes <= BUDGET.bytes, figures);
  assert.ok(loaded.modules.size > 30, `the graph is not followed: ${figures}`);
});
