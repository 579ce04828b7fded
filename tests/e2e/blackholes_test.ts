/**
 * A store or a server that takes requests and never answers, from some moment on: every command has
 * given up 5 s behind its deadline, and says so in words.
 */
import assert from "node:assert/strict";
import { mapLimited } from "../../src/domain/map_limited.ts";
import { campaignSeed, FULL_FAULTS, reportCampaign, trials } from "../support/campaign.ts";
import { FaultWorld } from "../support/faults/fault_world.ts";
import type { Operation } from "../support/faults/operation.ts";
import { operations } from "../support/faults/operations.ts";
import type { Ended, RunOptions, Trial } from "../support/faults/trial.ts";
import { type FaultAction, seededRandom } from "../support/s3_server/faults.ts";

const TRIALS = trials({ full: 1_000, usual: 11 });
/** Most of a trial is waiting. */
const AT_A_TIME = TRIALS > 100 ? 4 : 2;
const DEADLINE_SECONDS = 2;
/** The suite runs on machines that are busy with other tests; the campaign is strict. */
const SLOWNESS_SECONDS = FULL_FAULTS ? 0 : 8;
const LATEST_SECONDS = DEADLINE_SECONDS + 5 + SLOWNESS_SECONDS;
const BUG = 70;

const SILENCES: readonly FaultAction[] = [
  { kind: "hang" },
  { kind: "stall", bytes: 100 },
  { kind: "drip", bytesPerSecond: 20 },
];

/** The words of a command with the deadline of these trials. */
function hurried(words: readonly string[]): readonly string[] {
  const at = words.indexOf("--timeout");
  const others = at === -1 ? words : words.filter((_, place) => place !== at && place !== at + 1);
  return [...others, "--timeout", `${DEADLINE_SECONDS}s`];
}

/** Runs it against a store that falls silent: at once, or after some answers. */
async function silentStore(trial: Trial, operation: Operation, random: () => number) {
  const { words, ...options } = operation.command(trial, 1);
  const action = SILENCES[Math.floor(random() * SILENCES.length)]!;
  const probability = random() < 0.3 ? 1 : random() * 0.5;
  trial.server.fail({ probability }, action);
  return await trial.run(hurried(words), options);
}

/** Runs it with a PostgreSQL that takes connections and says nothing. */
async function silentServer(trial: Trial, operation: Operation): Promise<Ended> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { words, ...options }: RunOptions & { readonly words: readonly string[] } = operation
    .command(trial, 1);
  const env = { ...options.env, PG_PORT: String((listener.addr as Deno.NetAddr).port) };
  return await trial.run(hurried(words), { ...options, env });
}

function checkEnd({ status, stderr, seconds }: Ended, what: string): void {
  assert.ok(seconds < LATEST_SECONDS, `${what} took ${seconds.toFixed(1)} s: ${stderr}`);
  assert.notEqual(status, BUG, `${what}: ${stderr}`);
  assert.ok(!/^\s+at .*:\d+:\d+/m.test(stderr), `${what}: ${stderr}`);
  if (status !== 0) assert.match(stderr, /\S/, `${what} says nothing`);
}

Deno.test(`no command outlasts its deadline in ${TRIALS} blackholes`, async () => {
  const seed = campaignSeed();
  await using world = await FaultWorld.make();
  const all = operations(world);
  let slowest = 0;
  let gaveUp = 0;
  await mapLimited(
    Array.from({ length: TRIALS }, (_, number) => number),
    AT_A_TIME,
    async (number) => {
      const own = (seed + number) >>> 0;
      const random = seededRandom(own);
      const operation = all[number % all.length]!;
      await using trial = await world.trial(own);
      await operation.prepare?.(trial);
      const silent = number % 7 === 6 ? silentServer : silentStore;
      const ended = await silent(trial, operation, random);
      checkEnd(ended, `${operation.name}, trial ${number}, seed ${seed}`);
      slowest = Math.max(slowest, ended.seconds);
      if (ended.status !== 0) gaveUp += 1;
    },
  );
  reportCampaign({
    ...{ what: "silent stores and servers: commands end by their deadline", n: TRIALS, seed },
    outcome: `${gaveUp} gave up, ${TRIALS - gaveUp} got through; ` +
      `the slowest after ${slowest.toFixed(1)} s of ${DEADLINE_SECONDS} + 5`,
  });
  assert.ok(gaveUp > 0, `seed ${seed}: nothing was silent`);
});
