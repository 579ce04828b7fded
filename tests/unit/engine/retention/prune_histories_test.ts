/** Lives of clusters, and removals in them that may be cut off at any step. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { planPrune } from "../../../../src/engine/retention/plan_prune.ts";
import type {
  PruneBackup,
  PruneInput,
  PrunePlan,
} from "../../../../src/engine/retention/prune_model.ts";
import { checkNothingNeededWent, snapshot } from "../../../support/retention/history_rules.ts";
import { type Event, histories, HistoryWorld } from "../../../support/retention/history_world.ts";
import { campaignSeed, FULL_FAULTS, reportCampaign, trials } from "../../../support/campaign.ts";

const RUNS = trials({ full: 100_000, usual: 3_000 });

interface Tally {
  prunes: number;
  backups: number;
  pieces: number;
  crashes: number;
}

/** Carries out the first steps of a plan: backups one by one, then the log segment by segment. */
function carryOut(world: HistoryWorld, plan: PrunePlan, steps: number): void {
  let left = steps;
  const systems = new Map(world.systems.map((system) => [system.systemIdentifier, system]));
  for (const { systemIdentifier, backup } of plan.remove) {
    if (left-- <= 0) return;
    const system = systems.get(systemIdentifier)!;
    system.backups = system.backups.filter(({ id }) => id !== backup.id);
  }
  for (const piece of plan.wal.filter(({ keep }) => !keep)) {
    const segments = systems.get(piece.systemIdentifier)!.wal.get(piece.timeline)!;
    for (let number = piece.first; number <= piece.last; number++) {
      if (left-- <= 0) return;
      assert.ok(segments.delete(number), "only what was listed is removed");
    }
  }
}

/** What becomes of the backups of all databases is the same whatever else there is. */
function checkWholeOnes(
  world: HistoryWorld,
  { plan, ...options }: Omit<PruneInput, "systems"> & { readonly plan: PrunePlan },
): void {
  const isMeant = ({ databases }: PruneBackup) => databases?.all === true;
  const systems = world.asListed().map((system) => ({
    ...system,
    backups: system.backups.filter(isMeant),
  }));
  const alone = planPrune({ systems, ...options }).keep.map(({ backup }) => backup.id);
  const beside = plan.keep.filter(({ backup }) => isMeant(backup)).map(({ backup }) => backup.id);
  assert.deepEqual(beside, alone);
}

function prune(
  world: HistoryWorld,
  { policy, crashAt }: Extract<Event, { readonly what: "prune" }>,
  tally: Tally,
): void {
  const { now } = world;
  const options = { policy, now };
  const before = world.systems.map(snapshot);
  const check = () => {
    for (const [index, system] of world.systems.entries()) {
      checkNothingNeededWent({ before: before[index]!, after: snapshot(system) }, options);
    }
  };
  const plan = planPrune({ systems: world.asListed(), ...options });
  checkWholeOnes(world, { plan, ...options });
  tally.prunes += 1;
  tally.backups += plan.remove.length;
  tally.pieces += plan.wal.filter(({ keep }) => !keep).length;
  if (crashAt !== null) {
    carryOut(world, plan, crashAt);
    tally.crashes += 1;
    check();
    const again = planPrune({ systems: world.asListed(), ...options });
    assert.deepEqual(
      again.keep.map(({ backup }) => backup.id),
      plan.keep.map(({ backup }) => backup.id),
      "what was to stay before the crash is to stay after it",
    );
    carryOut(world, again, Infinity);
  } else carryOut(world, plan, Infinity);
  check();
  const kept = new Set(plan.keep.map(({ backup }) => backup.id));
  for (const { backups } of world.systems) {
    for (const { id } of backups) assert.ok(kept.has(id), `${id} was to go`);
  }
  const last = planPrune({ systems: world.asListed(), ...options });
  assert.deepEqual(last.remove, [], "a second run finds no backup to remove");
  assert.deepEqual(last.wal.filter(({ keep }) => !keep), [], "nor any log");
}

Deno.test(`planPrune() never takes away what is needed, in ${RUNS} histories`, () => {
  const seed = campaignSeed() % 2 ** 31;
  const tally: Tally = { prunes: 0, backups: 0, pieces: 0, crashes: 0 };
  fc.assert(
    fc.property(histories, (events) => {
      const world = new HistoryWorld();
      for (const event of events) {
        if (event.what === "prune") prune(world, event, tally);
        else world.play(event);
      }
    }),
    { numRuns: RUNS, seed },
  );
  const outcome = `${tally.prunes} removals of ${tally.backups} backups and ${tally.pieces} rows ` +
    `of the log, ${tally.crashes} cut off; nothing needed went`;
  if (FULL_FAULTS) reportCampaign({ what: "prune: lives of clusters", n: RUNS, seed, outcome });
  assert.ok(
    tally.backups > RUNS / 2 && tally.pieces > RUNS / 2,
    "most histories removed something",
  );
  assert.ok(tally.crashes > RUNS / 4);
});
