/**
 * Every operation under every fault: killed, told to end, over a store that fails, without room on
 * the disk, with another time than the store's, and on two hosts at once. Afterwards nothing
 * that was acknowledged is lost, every backup that is seen is whole, the next run does its work
 * without anybody's help, and no secret stands anywhere. `deno task faults` runs each operation 200 times
 * with SIGKILL, and 200 times with the others.
 */
import assert from "node:assert/strict";
import { campaignSeed, reportCampaign, trials } from "../support/campaign.ts";
import { FaultWorld } from "../support/faults/fault_world.ts";
import { type Injection, KILL, OTHERS } from "../support/faults/injections.ts";
import type { Operation } from "../support/faults/operation.ts";
import { manifestsIn, operations } from "../support/faults/operations.ts";
import type { Ended, Trial } from "../support/faults/trial.ts";
import { seededRandom } from "../support/s3_server/faults.ts";

const TIMES = trials({ full: 200, usual: 1 });
/** A run that was killed may leave one behind that still works: the next waits for its end. */
const PATIENCE_MS = 60_000;
/** By then every lease has run out. */
const LATER_MS = 2 * 3_600_000;
const LEASE_HELD = 11;
const BUG = 70;

/** O3: what is seen as a backup is whole; and what was there before is there, or goes on purpose. */
function checkBackups(world: FaultWorld, trial: Trial, { removes }: Operation): void {
  for (const key of manifestsIn(trial.objects)) {
    const manifest = JSON.parse(new TextDecoder().decode(trial.objects.get(key)!.bytes));
    const folder = key.slice(0, -"backup.json".length);
    for (const { key: name, storedBytes } of manifest.objects) {
      assert.equal(trial.objects.get(folder + name)?.size, storedBytes, `${folder}${name}`);
    }
  }
  if (removes) return;
  for (const key of world.manifests) assert.ok(trial.objects.has(key), `${key} is gone`);
}

/** A failure is said in a line that people understand, not by a stack. */
function checkFailure({ status, signal, stderr }: Ended): void {
  if (signal !== null) return;
  assert.notEqual(status, BUG, stderr);
  assert.ok(!/^\s+at .*:\d+:\d+/m.test(stderr), stderr);
}

async function runAgain(trial: Trial, operation: Operation): Promise<void> {
  const { words, ...options } = (operation.again ?? ((one) => operation.command(one, 1)))(trial);
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const { status, stderr } = await trial.run(words, options);
    if (status === 0) return;
    assert.ok(status === LEASE_HELD && performance.now() < deadline, `the next run: ${stderr}`);
    trial.age(LATER_MS);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** @returns how the disturbed runs ended. */
async function attempt(
  world: FaultWorld,
  { operation, injection, seed, usualMs }: {
    readonly operation: Operation;
    readonly injection: Injection;
    readonly seed: number;
    readonly usualMs: number;
  },
): Promise<readonly Ended[]> {
  await using trial = await world.trial(seed);
  await operation.prepare?.(trial);
  const random = seededRandom(seed);
  const ended = await injection.run(trial, operation, { random, usualMs });
  const acknowledged = ended.some(({ status, signal }) => status === 0 && signal === null);
  for (const one of ended) checkFailure(one);
  assert.ok(acknowledged || injection.mayFail, ended[0]!.stderr);
  checkBackups(world, trial, operation);
  await operation.check?.(trial, acknowledged);
  await runAgain(trial, operation);
  checkBackups(world, trial, operation);
  await operation.complete(trial);
  await trial.refuseSecrets();
  return ended;
}

/** What came of one operation's trials. */
interface Tally {
  done: number;
  failed: number;
  signalled: number;
  slowestEnd: number;
}

function count(tally: Tally, ended: readonly Ended[]): void {
  for (const { status, signal, secondsAfterSignal = 0 } of ended) {
    if (signal !== null) tally.signalled += 1;
    else if (status === 0) tally.done += 1;
    else tally.failed += 1;
    tally.slowestEnd = Math.max(tally.slowestEnd, secondsAfterSignal);
  }
}

for (
  const { what, injections } of [
    { what: "SIGKILL at any moment", injections: [KILL] },
    { what: "every other fault", injections: OTHERS },
  ]
) {
  Deno.test(`every operation outlives ${what}, ${TIMES} times each`, async (t) => {
    const seed = campaignSeed();
    await using world = await FaultWorld.make();
    for (const [place, operation] of operations(world).entries()) {
      await t.step(operation.name, async () => {
        const tally: Tally = { done: 0, failed: 0, signalled: 0, slowestEnd: 0 };
        const began = performance.now();
        const usualMs = TIMES === 1 ? 2_000 : await undisturbed(world, operation);
        for (let number = 0; number < TIMES; number++) {
          const injection = injections[(place + number) % injections.length]!;
          const own = (seed + place * 1_000_003 + number) >>> 0;
          try {
            count(tally, await attempt(world, { operation, injection, seed: own, usualMs }));
          } catch (error) {
            const which = `${operation.name}, ${injection.name}, trial ${number}, seed ${seed}`;
            throw new Error(`${which}: ${error instanceof Error ? error.message : error}`, {
              cause: error,
            });
          }
        }
        const { done, failed, signalled, slowestEnd } = tally;
        reportCampaign({
          ...{ what: `${operation.name}: ${what}`, n: TIMES, seed },
          outcome: `${done} done, ${failed} refused, ${signalled} killed; 0 lost, 0 partial, ` +
            `0 by hand; slowest end ${slowestEnd.toFixed(1)} s after a signal; ` +
            `${((performance.now() - began) / 1000).toFixed(0)} s`,
        });
      });
    }
  });
}

/** Milliseconds of a run without faults. */
async function undisturbed(world: FaultWorld, operation: Operation): Promise<number> {
  await using trial = await world.trial(0);
  await operation.prepare?.(trial);
  const { words, ...options } = operation.command(trial, 1);
  const { status, stderr, seconds } = await trial.run(words, options);
  assert.equal(status, 0, stderr);
  return seconds * 1000;
}
