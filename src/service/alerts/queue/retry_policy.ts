import type { DeliveryError } from "../delivery_error.ts";
import type { PendingState } from "./queue_item.ts";

/** Milliseconds before the second try; each further one waits four times as long. */
const FIRST_PAUSE = 1_000;
/** Milliseconds between two tries at most. */
const LONGEST_PAUSE = 3_600_000;
/** Milliseconds after which a message that nobody takes is given up … */
const PATIENCE = 3 * 86_400_000;
/** … once it was also tried so often: a clock that jumps must not throw messages away. */
const TRIES = 24;

/** When a channel may be tried again, in milliseconds of the epoch. */
export function nextAttempt(
  attempts: number,
  { error, now, random = Math.random }: {
    readonly error: DeliveryError;
    readonly now: Date;
    readonly random?: () => number;
  },
): number {
  const wait = Math.min(FIRST_PAUSE * 4 ** Math.min(attempts - 1, 10), LONGEST_PAUSE);
  // Spread, so that many hosts do not knock at the same moment.
  const spread = wait * (0.8 + 0.2 * random());
  const asked = Math.min(error.retryAfterMs ?? 0, LONGEST_PAUSE);
  return now.getTime() + Math.ceil(Math.max(spread, asked));
}

/** Whether the time for a try has come; a clock that was set back makes nothing wait for ever. */
export function isDue(notBefore: number, now: Date): boolean {
  const left = notBefore - now.getTime();
  return left <= 0 || left > LONGEST_PAUSE;
}

/** Whether a message has been tried long and often enough. */
export function isGivenUp(
  queuedAt: number,
  { states, now }: { readonly states: readonly PendingState[]; readonly now: Date },
): boolean {
  return now.getTime() - queuedAt > PATIENCE && states.every(({ attempts }) => attempts >= TRIES);
}
