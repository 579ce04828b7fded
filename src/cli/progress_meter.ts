import { formatBytes, formatSeconds } from "../domain/bytes.ts";
import type { Clock } from "../domain/clock.ts";

/** Milliseconds over which the rate is smoothed. */
const WINDOW = 5000;

/** Counts one step of a run and tells how far it is. */
export class ProgressMeter {
  readonly step: string;
  readonly totalBytes: number | undefined;
  readonly #clock: Clock;
  readonly #startedAt: number;
  #bytes = 0;
  /** Points in time with the bytes done until then, the oldest at most one window back. */
  #samples: (readonly [at: number, bytes: number])[];

  constructor(step: string, { totalBytes, clock }: { totalBytes?: number; clock: Clock }) {
    this.step = step;
    this.totalBytes = totalBytes;
    this.#clock = clock;
    this.#startedAt = clock.monotonic();
    this.#samples = [[this.#startedAt, 0]];
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Seconds since the step began. */
  get seconds(): number {
    return (this.#clock.monotonic() - this.#startedAt) / 1000;
  }

  /** 0 to 1; undefined when nobody knows, or when the estimate turned out too low. */
  get share(): number | undefined {
    if (this.totalBytes === undefined || this.totalBytes <= 0) return undefined;
    return this.#bytes <= this.totalBytes ? this.#bytes / this.totalBytes : undefined;
  }

  /** Bytes a second over the last seconds. */
  get rate(): number {
    const now = this.#clock.monotonic();
    const [at, bytes] = this.#samples[0]!;
    return now - at < 200 ? 0 : (this.#bytes - bytes) / ((now - at) / 1000);
  }

  advance(bytes: number): void {
    this.#bytes += bytes;
    const now = this.#clock.monotonic();
    if (now - this.#samples.at(-1)![0] < 250) return;
    this.#samples.push([now, this.#bytes]);
    while (this.#samples.length > 2 && now - this.#samples[1]![0] > WINDOW) this.#samples.shift();
  }

  /** The figures as words, the most telling first: `62 %`, `1.2 GB of 2.0 GB`, `45 MB/s`, `18 s left`. */
  figures(): readonly string[] {
    const { bytes, share, rate, seconds, totalBytes } = this;
    if (bytes === 0) return seconds < 1 ? [] : [formatSeconds(seconds)];
    const rateText = rate > 0 ? [`${formatBytes(rate)}/s`] : [];
    if (share === undefined) return [formatBytes(bytes), ...rateText, formatSeconds(seconds)];
    const left = rate > 0 ? [`${formatSeconds((totalBytes! - bytes) / rate)} left`] : [];
    const percent = `${Math.floor(share * 100)} %`;
    return [percent, `${formatBytes(bytes)} of ${formatBytes(totalBytes!)}`, ...rateText, ...left];
  }

  /** What the step came to: `2.0 GB in 44 s`. */
  summary(): string {
    const time = formatSeconds(this.seconds);
    return this.#bytes === 0 ? time : `${formatBytes(this.#bytes)} in ${time}`;
  }
}
