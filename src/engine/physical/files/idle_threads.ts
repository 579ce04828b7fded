/** A thread that can help another one. */
export interface Helpful<Thread> {
  /** Works for `owner` until its chunk is done. */
  help(owner: Thread): void;
}

/** Sets threads that have nothing to do to help those that still make a chunk. */
export class IdleThreads<Thread extends Helpful<Thread>> {
  /** Those at work, the one that began first in front, with those that help them. */
  readonly #helpersOf = new Map<Thread, Thread[]>();
  #idle: Thread[] = [];

  /** The thread has begun a chunk. */
  begin(thread: Thread): void {
    this.#idle = this.#idle.filter((idle) => idle !== thread);
    this.#helpersOf.set(thread, []);
    this.#lend();
  }

  /** The thread's chunk is done, and its helpers are free. */
  end(thread: Thread): void {
    this.#idle.push(...this.#helpersOf.get(thread) ?? []);
    this.#helpersOf.delete(thread);
    this.#lend();
  }

  /** There is no chunk left for the thread. */
  rest(thread: Thread): void {
    this.#idle.push(thread);
    this.#lend();
  }

  #lend(): void {
    const busy = [...this.#helpersOf];
    if (busy.length === 0) return;
    for (const helper of this.#idle.splice(0)) {
      const [owner, helpers] = busy.toSorted(([, one], [, other]) => one.length - other.length)[0]!;
      helper.help(owner);
      helpers.push(helper);
    }
  }
}
