import { DestinationError, IntegrityError, StorageError } from "../../domain/errors.ts";

/**
 * The failure of a restore under way, with what it left behind. Others than the known ones, such
 * as an interruption, pass as they are.
 */
export function withLeftovers(error: unknown, folders: readonly string[]): unknown {
  const left = leftovers(folders);
  if (error instanceof IntegrityError) {
    return new IntegrityError(`${error.message}; ${left}`, error.hint, { cause: error });
  }
  if (error instanceof DestinationError) {
    return new DestinationError(`${error.message}; ${left}`, error.hint, { cause: error });
  }
  if (error instanceof StorageError) {
    return new StorageError(`${error.message}; ${left}`, error.hint, { cause: error });
  }
  return error;
}

/** What people have to remove, in one sentence. */
export function leftovers(folders: readonly string[]): string {
  const hold = folders.length > 1 ? "hold" : "holds";
  return `${folders.join(" and ")} ${hold} an unfinished restore: remove it before the next try`;
}
