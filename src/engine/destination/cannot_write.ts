import { DestinationError } from "../../domain/errors.ts";
import { toldReason } from "../../log/told_reason.ts";

/** A failed system call on the destination, as people should read it. */
export function cannotWrite(path: string, error: unknown): DestinationError {
  return new DestinationError(`cannot write ${path}: ${toldReason(error)}`, undefined, {
    cause: error,
  });
}
