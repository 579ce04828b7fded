import { StorageError } from "../../domain/errors.ts";
import { withDeadline } from "../with_deadline.ts";

/** What the repository answers within `limit` milliseconds, and before `signal` is given. */
export async function answerOf<T>(
  work: (signal: AbortSignal) => Promise<T>,
  options: { readonly limit: number; readonly signal?: AbortSignal },
): Promise<T> {
  return await withDeadline(work, { ...options, late: () => noAnswer(options.limit) });
}

/** It did not within so many milliseconds. */
export function noAnswer(limit: number): StorageError {
  return new StorageError(
    `the repository did not answer within ${limit / 1000} seconds`,
    "nothing is begun while the schedule's ledger cannot be written",
  );
}
