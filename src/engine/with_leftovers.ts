import {
  DestinationError,
  IntegrityError,
  InterruptedError,
  RunFailedError,
  StorageError,
} from "../domain/errors.ts";

/**
 * The failure of a restore under way, with what it left behind. Others than the known ones pass as
 * they are. An interruption and a time that ran out have no other remedy than to remove it.
 */
export function withLeftovers(error: unknown, left: string): unknown {
  if (error instanceof IntegrityError) {
    return new IntegrityError(`${error.message}; ${left}`, error.hint, { cause: error });
  }
  if (error instanceof DestinationError) {
    return new DestinationError(`${error.message}; ${left}`, error.hint, { cause: error });
  }
  if (error instanceof StorageError) {
    return new StorageError(`${error.message}; ${left}`, error.hint, { cause: error });
  }
  if (error instanceof InterruptedError) {
    return new InterruptedError(error.signal, left, { cause: error });
  }
  if (error instanceof RunFailedError) {
    return new RunFailedError(error.message, left, { cause: error });
  }
  return error;
}
