import type { Clock } from "../domain/clock.ts";
import { pause } from "../domain/pause.ts";
import type { ServiceSnapshot } from "./snapshot.ts";

/** Gathering may take one part in so many of the time: listing a large archive costs requests. */
const SHARE = 20;
/** The least pause, as a part of the time from one gathering to the next. */
const BREATH = 1 / 10;

/** Called with each new snapshot; what it throws is reported and stops nothing. */
export type TickListener = (snapshot: ServiceSnapshot) => void | Promise<void>;

/** How a {@link SnapshotKeeper} works. */
export interface KeeperOptions {
  /** Asks everybody. Must not throw for a part that cannot be reached. */
  readonly gather: (signal: AbortSignal) => Promise<ServiceSnapshot>;
  readonly clock: Clock;
  /** Milliseconds from one gathering to the next. @default {60000} */
  readonly everyMs?: number;
  /** Told of what gathering or a listener threw. */
  readonly onError: (error: unknown) => void;
}

/** Holds the newest snapshot, and has a new one made every minute. Readers never wait for it. */
export class SnapshotKeeper {
  readonly #options: KeeperOptions;
  readonly #listeners: TickListener[] = [];
  #latest: ServiceSnapshot | undefined;
  #wake = new AbortController();

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** Undefined until the first one is there. */
  get latest(): ServiceSnapshot | undefined {
    return this.#latest;
  }

  /** Calls `listener` after each gathering, in the order of the calls, one at a time. */
  onTick(listener: TickListener): void {
    this.#listeners.push(listener);
  }

  /** The next gathering begins now, or as soon as the one under way has ended. */
  hurry(): void {
    this.#wake.abort();
  }

  /** Gathers until `signal` is given. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, everyMs = 60_000 } = this.#options;
    signal.addEventListener("abort", () => this.hurry(), { once: true });
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const start = clock.monotonic();
      const cost = await this.refresh(signal);
      const left = everyMs - (clock.monotonic() - start);
      const wait = Math.max(left, cost * (SHARE - 1), everyMs * BREATH);
      await pause(wait, this.#wake.signal).catch(() => {});
    }
  }

  /**
   * Gathers once and tells the listeners. Never throws.
   *
   * @returns milliseconds that the repository was at work; 0 when it did not answer: an outage
   * must not be found late, nor its end, because a deadline was waited for.
   */
  async refresh(signal: AbortSignal): Promise<number> {
    const { gather, onError, clock } = this.#options;
    const start = clock.monotonic();
    try {
      const snapshot = await gather(signal);
      this.#latest = snapshot;
      const cost = snapshot.repository ? clock.monotonic() - start : 0;
      for (const listener of this.#listeners) {
        if (signal.aborted) break;
        await tell(listener, snapshot).catch(onError);
      }
      return cost;
    } catch (error) {
      if (!signal.aborted) onError(error);
      return 0;
    }
  }
}

async function tell(listener: TickListener, snapshot: ServiceSnapshot): Promise<void> {
  await listener(snapshot);
}
