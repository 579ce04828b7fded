/**
 * A daemon's life with a fake clock: looks, leaps of the clock, crashes, runs of any length. The
 * rules are said here once more over plain lists of moments, and every look's decisions compared.
 *
 * @module
 */
import assert from "node:assert/strict";
import { jitterFraction } from "../../src/service/schedule/jitter.ts";
import { ScheduleBook } from "../../src/service/service.ts";
import type { EntryState, RunState } from "../../src/service/schedule/schedule_entry.ts";
import type { ScheduleEntry } from "../../src/service/service.ts";
import { momentsOf, type ZoneTable } from "./cron_oracle.ts";

/** What happens between two looks. */
export type Step =
  | { readonly type: "pass"; readonly ms: number }
  | { readonly type: "leap"; readonly ms: number }
  | { readonly type: "crash"; readonly downMs: number };

/** A schedule and what befalls it. */
export interface World {
  readonly entries: readonly (ScheduleEntry & { readonly zone: ZoneTable })[];
  readonly start: number;
  readonly steps: readonly Step[];
  /** Milliseconds that each run takes, used in turn. */
  readonly durations: readonly number[];
}

/** What was decided, for counting. */
export interface Tally {
  starts: number;
  late: number;
  retries: number;
  overlaps: number;
  missed: number;
  waits: number;
}

const SEED = "cluster";
const GRACE = 90_000;
const CORRECTION = 3 * 3_600_000;
const DAY = 86_400_000;

/** What the rules know of an entry. */
interface Model {
  dealt: number;
  cut?: { due: number; attempt: number };
  waiting: boolean;
}

/** Lives through `world`. @throws {AssertionError} where the book and the rules part. */
export function live({ entries, start, steps, durations }: World, tally: Tally): void {
  const horizon = steps.reduce(
    (sum, step) => sum + ("ms" in step ? Math.abs(step.ms) : step.downMs),
    0,
  );
  const span = { from: start - horizon - DAY, to: start + horizon + 3 * DAY };
  const moments = entries.map(({ cron, zone }) => momentsOf(cron, { zone, ...span }));
  const models = entries.map((): Model | undefined => undefined);
  /** Ends of the runs under way, by the clock that never leaps. */
  const running = new Map<string, { end: number; due: number; attempt: number }>();
  const begun = new Set<string>();
  let states: ReadonlyMap<string, EntryState> = new Map();
  let book = new ScheduleBook({ entries, seed: SEED });
  let [wall, steady, runs] = [start, 0, 0];
  const look = () => {
    for (const [name, { end, due, attempt }] of running) {
      if (end > steady) continue;
      running.delete(name);
      states = withRun(states, name, { due, attempt, outcome: "succeeded" });
    }
    const expected = decide({
      entries,
      moments,
      models,
      now: wall,
      running: new Set(running.keys()),
    });
    const plan = book.plan(new Date(wall), { states, running: new Set(running.keys()) });
    const found = {
      starts: plan.starts.map((
        { entry, due, late, attempt },
      ) => [entry.name, due.getTime(), late, attempt]),
      skips: plan.skips.map(({ entry, due, reason }) => [entry.name, due.getTime(), reason]),
    };
    assert.deepEqual(
      found,
      { starts: expected.starts, skips: expected.skips },
      new Date(wall).toISOString(),
    );
    states = plan.states;
    // A clock that was set back by hours makes its moments anew.
    if (expected.corrected) begun.clear();
    for (const { entry, due, attempt, late } of plan.starts) {
      const key = `${entry.name}/${due.getTime()}/${attempt}`;
      assert.ok(!begun.has(key), `${key} began twice`);
      begun.add(key);
      assert.ok(attempt > 1 || due.getTime() <= wall, `${key} began before its time`);
      assert.ok(
        ![...running.keys()].some((name) =>
          name === entry.name || entries.find((one) => one.name === name)!.kind === entry.kind
        ),
        `${key} began beside another of its kind`,
      );
      const duration = durations[runs++ % durations.length]!;
      running.set(entry.name, { end: steady + duration, due: due.getTime(), attempt });
      states = withRun(states, entry.name, { due: due.getTime(), attempt, outcome: "running" });
      tally.starts++;
      if (late) tally.late++;
      if (attempt > 1) tally.retries++;
    }
    tally.waits += expected.waits;
    for (const { reason } of plan.skips) reason === "missed" ? tally.missed++ : tally.overlaps++;
  };
  look();
  for (const step of steps) {
    if (step.type === "pass") [wall, steady] = [wall + step.ms, steady + step.ms];
    if (step.type === "leap") wall += step.ms;
    if (step.type === "crash") {
      for (const [name, { due, attempt }] of running) {
        states = withRun(states, name, { due, attempt, outcome: "lost" });
        models[entries.findIndex((entry) => entry.name === name)]!.cut = { due, attempt };
      }
      running.clear();
      models.forEach((model) => model && (model.waiting = false));
      book = new ScheduleBook({ entries, seed: SEED });
      [wall, steady] = [wall + step.downMs, steady + step.downMs];
    }
    look();
  }
}

function withRun(
  states: ReadonlyMap<string, EntryState>,
  name: string,
  { due, attempt, outcome }: Pick<RunState, "attempt" | "outcome"> & { readonly due: number },
): ReadonlyMap<string, EntryState> {
  const state = states.get(name);
  if (!state) return states;
  const moment = new Date(due).toISOString();
  const run = { due: moment, startedAt: moment, attempt, host: "here", outcome };
  return new Map([...states, [name, { ...state, run }]]);
}

/** The rules, over lists. */
function decide({ entries, moments, models, now, running }: {
  readonly entries: World["entries"];
  readonly moments: readonly (readonly number[])[];
  readonly models: (Model | undefined)[];
  readonly now: number;
  readonly running: ReadonlySet<string>;
}) {
  const busy = new Set(entries.filter(({ name }) => running.has(name)).map(({ kind }) => kind));
  const skips: [string, number, string][] = [];
  let corrected = false;
  const wishes: { index: number; due: number; late: boolean; attempt: number }[] = [];
  for (const [index, entry] of entries.entries()) {
    const model = models[index] ??= { dealt: now, waiting: false };
    if (model.dealt > now + CORRECTION) {
      model.dealt = now;
      corrected = true;
    }
    const all = moments[index]!;
    const ripe = all.filter((due, at) => {
      if (due <= model.dealt || due > now) return false;
      const room = Math.max(0, (all[at + 1] ?? Infinity) - due - 1000);
      return due + delayOf(entry, { due, room }) <= now;
    });
    const due = ripe.at(-1);
    if (due === undefined) {
      const cut = running.has(entry.name) ? undefined : model.cut;
      if (cut && entry.missed === "run" && cut.attempt < 3) {
        wishes.push({ index, due: cut.due, late: true, attempt: cut.attempt + 1 });
      } else model.waiting = false;
      continue;
    }
    const room = Math.max(0, (all[all.indexOf(due) + 1] ?? Infinity) - due - 1000);
    const late = !model.waiting && now - due - delayOf(entry, { due, room }) > GRACE;
    if (running.has(entry.name) || (late && entry.missed === "skip")) {
      skips.push([entry.name, due, running.has(entry.name) ? "still running" : "missed"]);
      model.dealt = due;
      continue;
    }
    wishes.push({ index, due, late, attempt: 1 });
  }
  const starts: [string, number, boolean, number][] = [];
  let waits = 0;
  for (const { index, due, late, attempt } of wishes.toSorted((a, b) => a.due - b.due)) {
    const [entry, model] = [entries[index]!, models[index]!];
    if (busy.has(entry.kind)) {
      model.waiting = true;
      waits++;
      continue;
    }
    busy.add(entry.kind);
    model.waiting = false;
    model.dealt = Math.max(model.dealt, due);
    delete model.cut;
    starts.push([entry.name, due, late, attempt]);
  }
  return { starts, skips, waits, corrected };
}

function delayOf(
  { name, jitterMs }: ScheduleEntry,
  { due, room }: { readonly due: number; readonly room: number },
): number {
  return Math.floor(
    Math.min(jitterMs, room) * (jitterMs === 0 ? 0 : jitterFraction(`${SEED}/${name}/${due}`)),
  );
}
