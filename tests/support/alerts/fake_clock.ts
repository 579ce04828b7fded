import type { Clock } from "../../../src/domain/clock.ts";

/** A clock that moves when it is told to. */
export class FakeClock implements Clock {
  #now: number;

  constructor(start = Date.parse("2026-11-23T02:00:00.000Z")) {
    this.#now = start;
  }

  now(): Date {
    return new Date(this.#now);
  }

  monotonic(): number {
    return this.#now;
  }

  /** Milliseconds; may be negative, as a clock that is set back. */
  advance(milliseconds: number): void {
    this.#now += milliseconds;
  }
}
