/** The only source of time: tests inject another one. */
export interface Clock {
  /** Now, as the wall clock tells it. */
  now(): Date;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonic(): number;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
};
