import { Cron } from "croner";
import { UsageError } from "../../domain/errors.ts";

/** Milliseconds to look back for the last moment, shortest first: most lines name one within. */
const LOOK_BACK = [
  60_000,
  3_600_000,
  86_400_000,
  8 * 86_400_000,
  32 * 86_400_000,
  400 * 86_400_000,
];

/**
 * The moments that a cron line names in a time zone. Where clocks go forward, a time that does not
 * exist becomes the moment of the change; where they go back, a fixed time comes once, the first
 * time, and `*` every time.
 */
export class CronTimes {
  readonly #cron: Cron;

  /** @throws {UsageError} when it is no cron line, with the field that is wrong. */
  constructor(line: string, timezone?: string) {
    try {
      this.#cron = new Cron(line, {
        paused: true,
        // As in cron(8): "0 2,14" names fixed times, too, which no change of clocks may swallow.
        fixedTimeRule: "no-wildcard",
        ...(timezone !== undefined && { timezone }),
      });
    } catch (error) {
      const reason = error instanceof Error ? error.message.replace(/^CronPattern: /, "") : "";
      const text = reason.replace(/\.$/, "").replace(
        /^[A-Z](?![A-Z])/,
        (first) => first.toLowerCase(),
      );
      throw new UsageError(`"${line}" is no cron line: ${text}`, undefined, { cause: error });
    }
  }

  /** The first moment behind `time`; undefined when there is none any more. */
  after(time: Date): Date | undefined {
    return this.#cron.nextRun(time) ?? undefined;
  }

  /** The last moment up to and with `time` that is behind `since`; undefined when there is none. */
  lastBetween(since: Date, time: Date): Date | undefined {
    const end = time.getTime();
    for (const back of [...LOOK_BACK, Infinity]) {
      const start = Math.max(end - back, since.getTime());
      let found = this.after(new Date(start));
      if (found === undefined || found > time) {
        if (start === since.getTime()) return undefined;
        continue;
      }
      for (let next = this.after(found); next !== undefined && next <= time;) {
        found = next;
        next = this.after(found);
      }
      return found;
    }
    return undefined;
  }
}
