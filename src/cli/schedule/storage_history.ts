import type { LoadedConfig } from "../../config/config.ts";
import type { Clock } from "../../domain/clock.ts";
import type { StoragePoint } from "../../service/page/page_view.ts";
import type { Context } from "../context.ts";
import { openMetadata } from "../open_parts.ts";

/** Milliseconds between two questions: there is one sample for each day. */
const PAUSE = 15 * 60_000;

/** How much the repository took when, as the index in PostgreSQL has it; for the status page. */
export class StorageHistory {
  readonly #clock: Clock;
  #askedAt: number | undefined;
  #points: readonly StoragePoint[] | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Undefined while it is not known, or too little of it for a picture. */
  get points(): readonly StoragePoint[] | undefined {
    return this.#points && this.#points.length > 1 ? this.#points : undefined;
  }

  /** Asks again when it is time to. What cannot be asked stays as it was. */
  async refresh(
    config: LoadedConfig["config"],
    context: Pick<Context, "env" | "terminal">,
  ): Promise<void> {
    const now = this.#clock.monotonic();
    if (this.#askedAt !== undefined && now - this.#askedAt < PAUSE) return;
    this.#askedAt = now;
    const metadata = await openMetadata(config, context);
    if (!metadata) return;
    try {
      const samples = await metadata.index.storageHistory();
      this.#points = samples.map(({ at, uses }) => ({
        at: new Date(at),
        bytes: uses.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
      }));
    } finally {
      await metadata.close();
    }
  }
}
