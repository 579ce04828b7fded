import * as v from "valibot";
import { IntegrityError, ObjectMissingError } from "../domain/errors.ts";
import type { SegmentRange } from "../domain/segment_ranges.ts";
import { isWalSegmentBytes } from "../domain/wal.ts";
import type { ObjectStore, ReadOptions } from "../storage/storage.ts";
import { type CheckPlace, listChecks } from "./checks.ts";
import { readTextObject } from "./read_object.ts";

/** What the last verification of an archive found to be right. */
export interface VerifiedSegments {
  readonly segmentBytes: number;
  readonly ranges: readonly SegmentRange[];
}

/** The subject of checks of the archived WAL. */
export const WAL_SUBJECT = "wal";
/** About a hundred thousand gaps. */
const LIMIT_BYTES = 8 * 1024 * 1024;

const number = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const schema = v.object({
  segmentBytes: v.pipe(v.number(), v.check(isWalSegmentBytes)),
  segments: v.array(v.object({ timeline: number, first: number, last: number })),
});

/**
 * The segments of a system that were read back and were right, as its newest check says; undefined
 * when there is none that can be read: then everything is to be read again.
 *
 * @throws {StorageError} when the store cannot be asked.
 */
export async function readVerifiedSegments(
  store: ObjectStore,
  place: Omit<CheckPlace, "kind" | "subject">,
  options: ReadOptions = {},
): Promise<VerifiedSegments | undefined> {
  const where = { ...place, kind: "verified", subject: WAL_SUBJECT } as const;
  const newest = (await listChecks(store, where, options)).at(-1);
  if (!newest) return undefined;
  try {
    const text = await readTextObject(store, newest.key, { limit: LIMIT_BYTES, ...options });
    const { segmentBytes, segments } = v.parse(schema, JSON.parse(text));
    return { segmentBytes, ranges: segments };
  } catch (error) {
    const isUnusable = error instanceof IntegrityError || error instanceof ObjectMissingError ||
      error instanceof SyntaxError || v.isValiError(error);
    if (isUnusable) return undefined;
    throw error;
  }
}
