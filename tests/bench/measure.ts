import type { Cluster } from "../support/postgres_cluster.ts";

/** What every bench works with. */
export interface BenchContext {
  readonly cluster: Cluster;
  /** An empty folder of the server's user. */
  readonly folder: string;
  /** How many pairs are run. */
  readonly runs: number;
}

/** One run of ours, or of the floor. */
export interface Run {
  readonly seconds: number;
  /** Bytes of the source that went through; the floor may leave it out. */
  readonly bytes?: number;
  readonly storedBytes?: number;
  /** Highest resident size of our process, in bytes. */
  readonly peakBytes?: number;
}

/** Ours against a floor. `least` is a ratio of rates (floor's time by ours), `most` one of times. */
export interface Bench {
  readonly name: string;
  readonly what: string;
  readonly asked: {
    readonly least?: number;
    readonly most?: number;
    /** Of ours alone, whatever the floor takes. */
    readonly seconds?: number;
  };
  floor(context: BenchContext): Promise<Run>;
  ours(context: BenchContext): Promise<Run>;
  /** Before the first pair. */
  prepare?(context: BenchContext): Promise<void>;
}

/** Medians of a bench's runs. */
export interface Measurement {
  readonly bench: Bench;
  readonly floorSeconds: number;
  readonly ourSeconds: number;
  readonly ratio: number;
  readonly bytes: number;
  readonly storedBytes: number | undefined;
  readonly peakBytes: number;
}

/** Runs floor and ours in turn and takes medians; the ratio is the median of the pairs' ratios. */
export async function measure(bench: Bench, context: BenchContext): Promise<Measurement> {
  await bench.prepare?.(context);
  const pairs: { floor: Run; ours: Run }[] = [];
  for (let run = 0; run < context.runs; run += 1) {
    pairs.push({ floor: await bench.floor(context), ours: await bench.ours(context) });
  }
  const ratios = pairs.map(({ floor, ours }) =>
    bench.asked.least === undefined ? ours.seconds / floor.seconds : floor.seconds / ours.seconds
  );
  const last = pairs.at(-1)!.ours;
  return {
    bench,
    floorSeconds: median(pairs.map(({ floor }) => floor.seconds)),
    ourSeconds: median(pairs.map(({ ours }) => ours.seconds)),
    ratio: median(ratios),
    bytes: last.bytes ?? 0,
    storedBytes: last.storedBytes,
    peakBytes: Math.max(...pairs.map(({ ours }) => ours.peakBytes ?? 0)),
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
