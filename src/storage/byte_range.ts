import { StorageError } from "../domain/errors.ts";

/** First byte, and the byte behind the last one. */
export type ByteRange = readonly [start: number, end: number];

/** @throws {RangeError} when no object could have such a part. */
export function checkRange(range: ByteRange | undefined): void {
  if (range === undefined) return;
  const [start, end] = range;
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start < end) return;
  throw new RangeError(`range ${start}-${end} is not a part of any object`);
}

/** What is said of a range that starts behind the end of its object. */
export function outsideError(key: string, [start, end]: ByteRange): StorageError {
  return new StorageError(
    `range ${start}-${end} lies behind the end of object ${key}`,
    "is the object cut short? verify the backup that it belongs to",
  );
}
