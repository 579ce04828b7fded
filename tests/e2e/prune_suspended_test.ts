/** A removal that is suspended past its lease, while another one takes over. */
import assert from "node:assert/strict";
import { mapLimited } from "../../src/domain/map_limited.ts";
import { DirectoryStore } from "../../src/storage/directory.ts";
import type { ProcessPlan } from "../support/retention/prune_process.ts";
import { HistoryWorld } from "../support/retention/history_world.ts";
import { keysOf, pruneParts, storeWorld } from "../support/retention/stored_world.ts";
import { FULL_FAULTS, reportCampaign, trials } from "../support/campaign.ts";
import { sendSignal } from "../support/send_signal.ts";

const SCRIPT = new URL("../support/retention/prune_process.ts", import.meta.url).pathname;
const ROUNDS = trials({ full: 200, usual: 5 });
/** Most of a round is waiting. */
const AT_A_TIME = 3;
const TIMING = { durationMs: 1500, graceMs: 100 };

/** Keys whose removal stood between the look at the lease and the call of the kernel. */
let strays = 0;

/** Sixty backups, of which one stays. */
async function makeRepository(folder: string): Promise<DirectoryStore> {
  const store = new DirectoryStore(folder);
  const world = new HistoryWorld();
  for (let serial = 0; serial < 60; serial++) {
    world.play({ what: "full", segments: 1 });
    world.play({ what: "pass", hours: 24, segments: 2 });
  }
  await storeWorld(world, store, "main");
  return store;
}

async function copyFolder(from: string, to: string): Promise<void> {
  const { success } = await new Deno.Command("cp", { args: ["-a", from, to] }).output();
  assert.ok(success);
}

function startRemoval(folder: string): Deno.ChildProcess {
  const plan: ProcessPlan = {
    ...{ folder, cluster: "main", host: "db1", timing: TIMING, policy: "last-retain=1" },
  };
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--quiet", "-A", SCRIPT, JSON.stringify(plan)],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Waits for the first line, and a random while. False when the process has ended before. */
async function untilBusy(child: Deno.ChildProcess): Promise<boolean> {
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
  return value !== undefined;
}

Deno.test(`a removal suspended past its lease looks again before it goes on, ${ROUNDS} times`, async () => {
  const root = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${root}/template`);
    await makeRepository(`${root}/template`);
    const rounds = Array.from({ length: ROUNDS }, (_, round) => round);
    const caught = await mapLimited(rounds, AT_A_TIME, async (round) => {
      const folder = `${root}/r${round}`;
      let isCaught = false;
      // A machine that is too slow for the lease, or too fast for the signal, has another turn.
      for (let turn = 0; turn < 5 && !isCaught; turn++) {
        await copyFolder(`${root}/template`, folder);
        isCaught = await suspended(folder);
        await Deno.remove(folder, { recursive: true });
      }
      return isCaught;
    });
    const lost = caught.filter((isCaught) => isCaught).length;
    const outcome = `${lost} caught at work; ${strays} keys were on their way out already`;
    if (FULL_FAULTS) {
      reportCampaign({ what: "prune suspended past its lease", n: ROUNDS, seed: 0, outcome });
    }
    assert.ok(strays <= Math.ceil(ROUNDS * 0.03), `${strays} keys went after the loss`);
    assert.ok(lost >= ROUNDS * 0.8, `${lost} of ${ROUNDS} were caught at work`);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

/** @returns false when the process had come to its end before it could be stopped. */
async function suspended(folder: string): Promise<boolean> {
  const child = startRemoval(folder);
  if (!await untilBusy(child)) {
    const { code, stderr } = await child.output();
    assert.equal(code, 11, new TextDecoder().decode(stderr)); // too slow a machine for the lease
    return false;
  }
  sendSignal(child, "SIGSTOP");
  const store = new DirectoryStore(folder);
  const parts = pruneParts(store, { cluster: "main", host: "db2" });
  const taken = await takeOver(parts);
  const before = await keysOf(store, "main");
  sendSignal(child, "SIGCONT");
  const [{ code }, words] = await Promise.all([
    child.status,
    new Response(child.stderr).text(),
    child.stdout.cancel(),
  ]);
  const after = new Set(await keysOf(store, "main"));
  const stray = before.filter((key) => !after.has(key));
  assert.ok(stray.length <= 1, `${stray.join(", ")} went after the loss`);
  strays += stray.length;
  taken.check();
  await taken.release({ keepCount: true });
  if (code === 0) return false;
  assert.equal(code, 11, words);
  assert.match(words, /lease of removal from cluster main is lost/);
  return true;
}

/** As soon as the lease has run out. */
async function takeOver({ leases }: ReturnType<typeof pruneParts>) {
  for (;;) {
    try {
      return await leases.exclude({ what: "removal from cluster main" });
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
