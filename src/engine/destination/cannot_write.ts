import { DestinationError } from "../../domain/errors.ts";
import { toldReason } from "../../log/told_reason.ts";

/** A failed system call on the destination, as people should read it. */
export function cannotWrite(path: string, error: unknown): DestinationError {
  return new DestinationError(`cannot write ${path}: ${toldReason(error)}`, undefined, {
    cause: error,
  });
}

/** Does something to a path. @throws {DestinationError} in the place of any other error. */
export async function onPath<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw cannotWrite(path, error);
  }
}
