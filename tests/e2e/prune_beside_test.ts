/** Removals beside backups, increments and restores, each in a process of its own. */
import assert from "node:assert/strict";
import { PruneEngine } from "../../src/engine/retention/prune_engine.ts";
import { parseRetentionPolicy } from "../../src/domain/retention_policy.ts";
import { DirectoryStore } from "../../src/storage/directory.ts";
import type { BusyPlan, BusyReport } from "../support/retention/busy_process.ts";
import { pruneParts } from "../support/retention/stored_world.ts";
import { FULL_FAULTS, reportCampaign, trials } from "../support/campaign.ts";

const SCRIPT = new URL("../support/retention/busy_process.ts", import.meta.url).pathname;
const TIMES = trials({ full: 500, usual: 20 });
const POLICY = "last-retain=2";

async function run(plan: BusyPlan): Promise<BusyReport> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--quiet", "-A", SCRIPT, JSON.stringify(plan)],
  }).output();
  const words = new TextDecoder().decode(stderr);
  assert.equal(code, 0, `${plan.role}: ${words}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test(`${TIMES} removals beside backups and restores take nothing away from them`, async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/repository`);
    const plan = { folder, policy: POLICY };
    await run({ ...plan, role: "backup", times: 3 });
    const others = (["backup", "increment", "restore"] as const)
      .map((role) => run({ ...plan, role }));
    const first = run({ ...plan, role: "prune", times: Math.ceil(TIMES / 2) });
    const second = run({ ...plan, role: "prune", times: Math.floor(TIMES / 2) });
    await Promise.allSettled([first, second]);
    await Deno.writeTextFile(`${folder}/stop`, "");
    await Promise.allSettled(others);
    const prunes = await Promise.all([first, second]);
    const [backups, increments, restores] = await Promise.all(others);
    const all = { prunes, backups, increments, restores };
    const what = "prune beside backups and restores";
    if (FULL_FAULTS) reportCampaign({ what, n: TIMES, seed: 0, outcome: JSON.stringify(all) });
    assert.ok(prunes.some(({ removed }) => removed > 0), JSON.stringify(all));
    assert.ok(backups!.done > 0 && restores!.done > 0, JSON.stringify(all));

    const store = new DirectoryStore(`${folder}/repository`);
    const parts = pruneParts(store, { cluster: "main" });
    const options = { policy: parseRetentionPolicy(POLICY), force: true };
    const removal = (await new PruneEngine(parts).run(options))!;
    assert.deepEqual(removal.removal.notes, [], "no half folder is left");
    const chained = await parts.repository.backups();
    const ids = new Set(chained.map(({ id }) => id));
    for (const { parentId } of chained) assert.ok(parentId === null || ids.has(parentId));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
