import type { Clock } from "../domain/clock.ts";
import { pause } from "../domain/pause.ts";
import type { ServiceSnapshot } from "./snapshot.ts";

/** Gathering may take one part in so many of the time: listing a large archive costs requests. */
const SHARE = 20;

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

  /** Gathers until `signal` is given. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, everyMs = 60_000 } = this.#options;
    while (!signal.aborted) {
      const start = clock.monotonic();
      await this.refresh(signal);
      const took = clock.monotonic() - start;
      await pause(Math.max(everyMs - took, took * (SHARE - 1), 0), signal).catch(() => {});
    }
  }

  /** Gathers once and tells the listeners. Never throws. */
  async refresh(signal: AbortSignal): Promise<void> {
    const { gather, onError } = this.#options;
    try {
      const snapshot = await gather(signal);
      this.#latest = snapshot;
      for (const listener of this.#listeners) {
        if (signal.aborted) return;
        await tell(listener, snapshot).catch(onError);
      }
    } catch (error) {
      if (!signal.aborted) onError(error);
    }
  }
}

async function tell(listener: TickListener, snapshot: ServiceSnapshot): Promise<void> {
  await listener(snapshot);
}
