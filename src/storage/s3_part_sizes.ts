/** S3 User Guide, "Amazon S3 multipart upload limits". */
const MAX_PART_BYTES = 5 * 1024 ** 3;
const MAX_OBJECT_BYTES = 5 * 1024 ** 4;
/** The share of the parts that have the first size; after them they grow. */
const EQUAL_SHARE = 0.1;

/** The limits of a store and of one upload. */
export interface PartLimits {
  readonly partBytes: number;
  readonly maxParts: number;
  /** The largest object that must be possible. @default {5 TiB} */
  readonly maxBytes?: number;
  /** The length of the body, when it is known: then all parts are equal. */
  readonly size?: number | undefined;
  /** Whether parts may differ in length. */
  readonly grow: boolean;
}

/**
 * How long part `number`, counted from 1, shall be.
 *
 * For a body of unknown length the first tenth of the parts has `partBytes`, then each is longer
 * than the one before by the same step, just so that all together hold `maxBytes`. Small objects
 * so take little memory, and no part is longer than about two and a quarter times what equal parts would be:
 * 16 MiB up to 16 GiB, 0.1 GiB at 110 GiB, 0.5 GiB at 1 TiB, 1.1 GiB at 5 TiB.
 *
 * Cloudflare R2 refuses parts that differ in length ("All non-trailing parts must have the same
 * length"): there give the length beforehand, or set `growParts` false and larger parts.
 */
export function partSizes(limits: PartLimits): (number: number) => number {
  const { partBytes, maxParts, maxBytes = MAX_OBJECT_BYTES, size, grow } = limits;
  if (size !== undefined) {
    const equal = Math.max(partBytes, Math.ceil(size / maxParts));
    return () => equal;
  }
  const plateau = Math.floor(maxParts * EQUAL_SHARE);
  const growing = maxParts - plateau;
  const missing = maxBytes - partBytes * maxParts;
  if (!grow || missing <= 0) return () => partBytes;
  const step = Math.ceil(missing / (growing * (growing + 1) / 2));
  return (number) => {
    const grown = partBytes + step * Math.max(0, number - plateau);
    return Math.min(grown, MAX_PART_BYTES);
  };
}
