import type { EntrySnapshot } from "../snapshot.ts";
import { answerOf, noAnswer } from "./answer_of.ts";
import { entrySnapshot } from "./entry_snapshot.ts";
import { ScheduleBook, type Start } from "./schedule_book.ts";
import type { EntryState, EntryStates, RunState, ScheduleEntry } from "./schedule_entry.ts";
import type { Child, ChildEnd, SchedulerOptions } from "./scheduler_parts.ts";

/** Milliseconds between two looks at the clock at most: it may jump. */
const LONGEST_SLEEP = 10_000;
/** Milliseconds that children have to end after they were asked to. */
const DRAIN = 22_000;

/** Milliseconds that the repository may take. */
const PATIENCE = 30_000;
/** The same once the daemon is being stopped. */
const LAST_WORDS = 3_000;

/** Runs the entries of a schedule when they are due, while this daemon leads. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  #book: ScheduleBook;
  /** Null: a run of an earlier daemon that is still alive. */
  readonly #children = new Map<string, Child | null>();
  /** What this daemon began and has not ended, also when a reload took the entry away. */
  readonly #begun = new Map<string, { readonly kind: string; readonly run: RunState }>();
  /** Results that the ledger has not taken yet. */
  readonly #results = new Map<string, RunState>();
  #wake = Promise.withResolvers<void>();
  #led = false;
  #lastLook = 0;
  #draining = false;
  /** By the monotonic clock: when the children were asked to end. */
  #askedAt = 0;
  /** Given when a look at the clock, in which the daemon was stopped, must come to an end. */
  readonly #late = new AbortController();
  #lateTimer: ReturnType<typeof setTimeout> | undefined;
  /** What the last look met, if it met trouble. */
  #trouble: unknown;
  #onFinish: (run: RunState) => void = () => {};

  /** @throws {UsageError} when a cron line is none. */
  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#book = new ScheduleBook({ entries: options.entries, seed: options.cluster });
  }

  /** Milliseconds since the loop last went round. */
  get silence(): number {
    return this.#options.clock.monotonic() - this.#lastLook;
  }

  /** Whether anything is being run. */
  get busy(): boolean {
    return this.#children.size > 0;
  }

  /** Other entries from now on. @throws {UsageError} and leaves all as it was. */
  reload(entries: readonly ScheduleEntry[]): void {
    this.#book = new ScheduleBook({ entries, seed: this.#options.cluster });
    this.#wake.resolve();
  }

  /** How the entries stand. */
  snapshot(): readonly EntrySnapshot[] {
    const { clock, ledger } = this.#options;
    const [now, states] = [clock.now(), this.#states()];
    return this.#book.entries.map((entry) => {
      const state = states.get(entry.name);
      return entrySnapshot(entry, {
        state,
        nextRun: this.#book.nextRun(entry.name, { now, state: ledger.leads ? state : undefined }),
      });
    });
  }

  /** Works until `signal`, then ends the children, and gives the lead away. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.#stop(), { once: true });
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers<void>();
      await this.look();
      await this.#rest();
    }
    await this.#drain();
  }

  /**
   * Runs what is due, waits for its end, and gives the lead away.
   *
   * @returns what became of it.
   * @throws what kept it from looking, or from keeping what became of it, unless a run failed.
   */
  async once(signal: AbortSignal): Promise<readonly RunState[]> {
    signal.addEventListener("abort", () => this.#stop(), { once: true });
    const results: RunState[] = [];
    this.#onFinish = (run) => results.push(run);
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers<void>();
      await this.look();
      if (!this.busy) break;
      await this.#rest();
    }
    await this.#drain();
    if (this.#trouble !== undefined && results.every(({ exitStatus }) => exitStatus === 0)) {
      throw this.#trouble;
    }
    return results;
  }

  /** One look at the clock: begins what is due. Never throws. */
  async look(): Promise<void> {
    const { ledger, tell, clock } = this.#options;
    this.#lastLook = clock.monotonic();
    try {
      const leads = await answerOf((signal) => ledger.attend(signal), {
        limit: PATIENCE,
        signal: this.#late.signal,
      });
      if (leads) await this.#takeOver();
      if (leads !== this.#led) tell({ type: "leader", leads, holder: ledger.holder });
      this.#led = leads;
      await this.#watchStrangers();
      if (leads) await this.#begin();
      this.#trouble = undefined;
    } catch (error) {
      this.#trouble = error;
      tell({ type: "trouble", error });
    }
  }

  /**
   * Runs that are marked and that nobody here began: an earlier daemon's, or marks of this one that
   * the store kept without its hearing of it. Those that are alive are waited for, the others lost.
   */
  async #takeOver(): Promise<void> {
    const { ledger, host, clock } = this.#options;
    for (const [name, { run }] of ledger.states) {
      if (run?.outcome !== "running") continue;
      if (this.#children.has(name) || this.#results.has(name)) continue;
      if (run.host === host && await this.#isAlive(run)) {
        this.#children.set(name, null);
        continue;
      }
      this.#results.set(name, { ...run, finishedAt: clock.now().toISOString(), outcome: "lost" });
    }
  }

  async #isAlive({ process }: RunState): Promise<boolean> {
    return process !== undefined && await this.#options.isAlive(process) === true;
  }

  /** Runs that this daemon did not begin: nobody tells of their end, and nobody knows how. */
  async #watchStrangers(): Promise<void> {
    for (const [name, child] of this.#children) {
      const run = this.#states().get(name)?.run;
      if (child !== null || (run && await this.#isAlive(run))) continue;
      this.#children.delete(name);
      if (run) this.#finish(name, { ...run, outcome: "unknown" });
    }
  }

  async #begin(): Promise<void> {
    const { clock, ledger, host, tell } = this.#options;
    const now = clock.now();
    const before = this.#states();
    const running = new Set(this.#children.keys());
    const busy = this.#busyKinds();
    const { starts, skips, states } = this.#book.plan(now, { states: before, running, busy });
    const marked = new Map(states);
    const runs = new Map<Start, RunState>();
    for (const start of starts) {
      const { entry, due, attempt } = start;
      const run: RunState = {
        due: due.toISOString(),
        startedAt: now.toISOString(),
        ...{ attempt, host, outcome: "running" },
      };
      marked.set(entry.name, { ...states.get(entry.name)!, run });
      runs.set(start, run);
    }
    const told = new Map(this.#results);
    if (!isSame(ledger.states, marked) && !await this.#save(marked)) return;
    for (const [name, run] of told) {
      if (this.#results.get(name) === run) this.#results.delete(name);
    }
    for (const { entry, due, reason } of skips) {
      tell({ type: "skipped", name: entry.name, due, reason });
    }
    if (this.#draining) return;
    for (const [start, run] of runs) this.#start(start, run);
    if (starts.length > 0) await this.#save(await this.#withProcesses(marked));
  }

  /** The processes' numbers, so that a daemon after a crash finds them. */
  async #withProcesses(states: EntryStates): Promise<EntryStates> {
    const marked = new Map(states);
    for (const [name, child] of this.#children) {
      const state = states.get(name);
      if (!child || state?.run?.outcome !== "running" || state.run.process) continue;
      const process = await this.#options.markOf(child.pid);
      marked.set(name, { ...state, run: { ...state.run, process } });
    }
    return marked;
  }

  #start(start: Start, run: RunState): void {
    const { spawn, tell } = this.#options;
    const { name, kind } = start.entry;
    this.#begun.set(name, { kind, run });
    tell({ type: "fired", start });
    try {
      const child = spawn(start.entry);
      this.#children.set(name, child);
      child.ended.then((end) => this.#ended(name, end), (error) => {
        tell({ type: "trouble", error });
        this.#ended(name, { exitStatus: 70 });
      });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#ended(name, { exitStatus: 70, message: `it could not be started: ${message}` });
    }
  }

  #ended(name: string, { exitStatus, message }: ChildEnd): void {
    this.#children.delete(name);
    const run = this.#options.ledger.states.get(name)?.run ?? this.#begun.get(name)?.run;
    this.#begun.delete(name);
    const cut = this.#draining && exitStatus !== 0;
    const outcome = exitStatus === 0 ? "succeeded" : cut ? "interrupted" : "failed";
    const end = { outcome, exitStatus, ...(message !== undefined && { message }) } as const;
    if (run) this.#finish(name, { ...run, ...end });
    this.#wake.resolve();
  }

  #finish(name: string, run: RunState): void {
    const finished = { ...run, finishedAt: this.#options.clock.now().toISOString() };
    this.#results.set(name, finished);
    this.#onFinish(finished);
    this.#options.tell({ type: "finished", name, run: finished });
  }

  /** What the ledger holds, with the results that it does not hold yet. */
  #states(): EntryStates {
    const states = new Map<string, EntryState>(this.#options.ledger.states);
    for (const [name, run] of this.#results) {
      const state = states.get(name);
      if (state) states.set(name, { ...state, run });
    }
    return states;
  }

  /** Until the next moment, a child's end, a reload, or for a few seconds. */
  async #rest(): Promise<void> {
    const { clock, sleep } = this.#options;
    const now = clock.now().getTime();
    const busy = this.#busyKinds();
    const next = this.snapshot().flatMap(({ kind, nextRun }) => {
      const time = nextRun?.getTime() ?? Infinity;
      return time <= now && busy.has(kind) ? [] : time;
    });
    const wait = Math.min(LONGEST_SLEEP, ...next.map((time) => Math.max(time - now, 50)));
    const woken = new AbortController();
    const wake = this.#wake.promise.then(() => woken.abort());
    await Promise.race([sleep(wait, woken.signal).catch(() => {}), wake]);
    woken.abort();
  }

  /** Whose turn waits for a child's end. */
  #busyKinds(): ReadonlySet<string> {
    const kinds = new Map(this.#book.entries.map(({ name, kind }) => [name, kind]));
    const names = [...this.#children.keys()];
    return new Set(names.flatMap((name) => this.#begun.get(name)?.kind ?? kinds.get(name) ?? []));
  }

  async #save(states: EntryStates): Promise<boolean> {
    return await answerOf((signal) => this.#options.ledger.save(states, signal), {
      limit: this.#draining ? LAST_WORDS : PATIENCE,
      signal: this.#late.signal,
    });
  }

  /** Asks the children to end at once, whatever the repository is just being asked. */
  #stop(): void {
    this.#draining = true;
    this.#askedAt = this.#options.clock.monotonic();
    for (const child of this.#own()) child.end("ask");
    this.#lateTimer = setTimeout(() => this.#late.abort(noAnswer(LAST_WORDS)), LAST_WORDS);
    this.#wake.resolve();
  }

  #own(): readonly Child[] {
    return [...this.#children.values()].filter((child) => child !== null);
  }

  /** Ends the children that do not end by themselves, and keeps what became of all. */
  async #drain(): Promise<void> {
    const { ledger, sleep, tell, clock } = this.#options;
    this.#draining = true;
    clearTimeout(this.#lateTimer);
    const over = new AbortController();
    const all = Promise.allSettled(this.#own().map(({ ended }) => ended)).then(() => over.abort());
    const left = Math.max(0, this.#askedAt + DRAIN - clock.monotonic());
    await Promise.race([all, sleep(left, over.signal).catch(() => {})]);
    for (const child of this.#own()) child.end("kill");
    await all;
    try {
      const last = { limit: LAST_WORDS };
      const states = this.#states();
      if (this.#results.size > 0) await answerOf((signal) => ledger.save(states, signal), last);
      await answerOf((signal) => ledger.release(signal), last);
    } catch (error) {
      tell({ type: "trouble", error });
    }
  }
}

function isSame(one: EntryStates, other: EntryStates): boolean {
  return JSON.stringify([...one]) === JSON.stringify([...other]);
}
