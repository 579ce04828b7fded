import { CronTimes } from "./cron_times.ts";
import { jitterFraction } from "./jitter.ts";
import type { EntryState, EntryStates, ScheduleEntry, SkipReason } from "./schedule_entry.ts";

/** A run that begins later than that, in milliseconds, was missed: the daemon was not there. */
const GRACE = 90_000;
/** A clock set back by less repeats nothing; by more, the schedule begins anew. As cron(8) does. */
const CORRECTION = 3 * 3_600_000;
/** After a crash or a stop of the daemon a run begins again, but not for ever. */
const MOST_ATTEMPTS = 3;

/** What is to be done now. */
export interface Plan {
  readonly starts: readonly Start[];
  readonly skips: readonly Skip[];
  /** How things stand when that is done; to be kept before anything begins. */
  readonly states: EntryStates;
}

/** A run that begins. */
export interface Start {
  readonly entry: ScheduleEntry;
  readonly due: Date;
  /** Nobody was there when it was due, or the run before it was cut off. */
  readonly late: boolean;
  readonly attempt: number;
}

/** A moment that passes. */
export interface Skip {
  readonly entry: ScheduleEntry;
  readonly due: Date;
  readonly reason: SkipReason;
}

/** Whose schedule it is. */
export interface BookOptions {
  readonly entries: readonly ScheduleEntry[];
  /** Differs between clusters, so that their jitter does. */
  readonly seed: string;
}

/**
 * Decides what runs when. It holds no state but the compiled lines and what waits for its turn:
 * everything else is handed in and out, so that it can be kept across crashes and hosts.
 */
export class ScheduleBook {
  readonly #lines: readonly { readonly entry: ScheduleEntry; readonly times: CronTimes }[];
  readonly #seed: string;
  /** On time, but another run of its kind was under way. */
  readonly #waiting = new Set<string>();

  /** @throws {UsageError} when a cron line is none. */
  constructor({ entries, seed }: BookOptions) {
    this.#lines = entries.map((entry) => ({
      entry,
      times: new CronTimes(entry.cron, entry.timezone),
    }));
    this.#seed = seed;
  }

  get entries(): readonly ScheduleEntry[] {
    return this.#lines.map(({ entry }) => entry);
  }

  /**
   * What is to be done at `now`. The caller keeps `states` and only then begins the runs.
   *
   * @param running names of the entries that are being run.
   * @param kinds kinds of which a run is under way, be it of an entry that is gone.
   */
  plan(now: Date, { states, running, busy: kinds = new Set() }: {
    readonly states: EntryStates;
    readonly running: ReadonlySet<string>;
    readonly busy?: ReadonlySet<string>;
  }): Plan {
    const next = new Map<string, EntryState>();
    const starts: Start[] = [];
    const skips: Skip[] = [];
    const byName = new Map(this.entries.map((entry) => [entry.name, entry]));
    const busy = new Set([
      ...kinds,
      ...[...running].flatMap((name) => byName.get(name)?.kind ?? []),
    ]);
    const wishes = this.#lines.map((line) => this.#wish(line, { now, states, running }));
    for (const { entry, state, wish } of wishes) {
      next.set(entry.name, state);
      if (wish === undefined) this.#waiting.delete(entry.name);
      if (wish && "reason" in wish) {
        skips.push(wish);
        next.set(entry.name, skipped(state, { skip: wish, now }));
      }
    }
    const ready = wishes.flatMap(({ wish }) => wish && "attempt" in wish ? [wish] : []);
    for (const start of ready.toSorted((a, b) => a.due.getTime() - b.due.getTime())) {
      const { entry: { name, kind }, due } = start;
      if (busy.has(kind)) {
        this.#waiting.add(name);
        continue;
      }
      busy.add(kind);
      this.#waiting.delete(name);
      starts.push(start);
      next.set(name, { ...next.get(name)!, due: later(next.get(name)!.due, due.toISOString()) });
    }
    return { starts, skips, states: next };
  }

  /** When the entry runs next, with its jitter, as things stand. */
  nextRun(name: string, { now, state }: {
    readonly now: Date;
    readonly state: EntryState | undefined;
  }): Date | undefined {
    const line = this.#lines.find(({ entry }) => entry.name === name);
    if (!line) return undefined;
    const dealt = state === undefined || isWrong(state.due, now) ? now : new Date(state.due);
    const due = line.times.after(dealt);
    return due && new Date(due.getTime() + this.#delay(line, due));
  }

  #wish(
    line: { readonly entry: ScheduleEntry; readonly times: CronTimes },
    { now, states, running }: {
      readonly now: Date;
      readonly states: EntryStates;
      readonly running: ReadonlySet<string>;
    },
  ): { readonly entry: ScheduleEntry; readonly state: EntryState; readonly wish?: Start | Skip } {
    const { entry } = line;
    const known = states.get(entry.name);
    const state = known === undefined || isWrong(known.due, now)
      ? { ...known, due: now.toISOString() }
      : known;
    const isRunning = running.has(entry.name);
    const due = this.#dueNow(line, { now, since: new Date(state.due) });
    if (due === undefined) {
      const again = isRunning ? undefined : secondTry(entry, state);
      return { entry, state, ...(again && { wish: again }) };
    }
    if (isRunning) return { entry, state, wish: { entry, due, reason: "still running" } };
    const late = this.#isLate(line, { now, due });
    if (late && entry.missed === "skip") {
      return { entry, state, wish: { entry, due, reason: "missed" } };
    }
    return { entry, state, wish: { entry, due, late, attempt: 1 } };
  }

  /** The newest moment behind `since` whose jitter has passed. */
  #dueNow(
    line: { readonly entry: ScheduleEntry; readonly times: CronTimes },
    { now, since }: { readonly now: Date; readonly since: Date },
  ): Date | undefined {
    const last = line.times.lastBetween(since, now);
    if (last === undefined || last.getTime() + this.#delay(line, last) <= now.getTime()) {
      return last;
    }
    return line.times.lastBetween(since, new Date(last.getTime() - 1));
  }

  #isLate(
    line: { readonly entry: ScheduleEntry; readonly times: CronTimes },
    { now, due }: { readonly now: Date; readonly due: Date },
  ): boolean {
    if (this.#waiting.has(line.entry.name)) return false;
    return now.getTime() - due.getTime() - this.#delay(line, due) > GRACE;
  }

  /** The same for the same moment, whoever asks; always before the next moment. */
  #delay(
    { entry, times }: { readonly entry: ScheduleEntry; readonly times: CronTimes },
    due: Date,
  ): number {
    if (entry.jitterMs === 0) return 0;
    const next = times.after(due);
    const room = next ? Math.max(0, next.getTime() - due.getTime() - 1000) : Infinity;
    const fraction = jitterFraction(`${this.#seed}/${entry.name}/${due.getTime()}`);
    return Math.floor(Math.min(entry.jitterMs, room) * fraction);
  }
}

/** A moment dealt with that lies so far ahead is of a clock that was wrong. */
function isWrong(due: string, now: Date): boolean {
  return Date.parse(due) - now.getTime() > CORRECTION;
}

/** A run that the daemon's end cut off begins again, unless missed runs are not wanted. */
function secondTry(entry: ScheduleEntry, { run }: EntryState): Start | undefined {
  if (!run || entry.missed === "skip" || run.attempt >= MOST_ATTEMPTS) return undefined;
  if (run.outcome !== "lost" && run.outcome !== "interrupted") return undefined;
  return { entry, due: new Date(run.due), late: true, attempt: run.attempt + 1 };
}

function skipped(
  state: EntryState,
  { skip: { due, reason }, now }: { readonly skip: Skip; readonly now: Date },
): EntryState {
  const moment = due.toISOString();
  return {
    ...state,
    due: later(state.due, moment),
    skipped: { due: moment, at: now.toISOString(), reason },
  };
}

/** The later of two moments. Both are of `toISOString`, so their text has their order. */
function later(one: string, other: string): string {
  return one > other ? one : other;
}
