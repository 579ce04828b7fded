import * as v from "valibot";

/** How much room one kind of objects takes. */
export interface SampledUse {
  /** `physical`, `incremental`, `logical`, `wal`, `unfinished`. */
  readonly kind: string;
  /** Backups, segments, or folders. */
  readonly count: number;
  /** Before compression; null where nobody knows. */
  readonly rawBytes: number | null;
  /** As stored. */
  readonly storedBytes: number;
}

/** How much room a repository took at a moment. */
export interface StorageSample {
  /** The name of the cluster. */
  readonly cluster: string;
  /** RFC 3339 UTC. */
  readonly at: string;
  /** One for each kind that there is. */
  readonly uses: readonly SampledUse[];
}

const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const schema = v.object({
  cluster: v.string(),
  at: v.pipe(v.string(), v.isoTimestamp()),
  uses: v.array(
    v.object({ kind: v.string(), count: size, rawBytes: v.nullable(size), storedBytes: size }),
  ),
});

/** Checks what was read from a journal; undefined when it is not a whole sample. */
export function readStorageSample(value: unknown): StorageSample | undefined {
  const result = v.safeParse(schema, value);
  return result.success ? result.output : undefined;
}
