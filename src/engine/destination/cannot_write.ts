import { DestinationError } from "../../domain/errors.ts";

/** A failed system call on the destination, as people should read it. */
export function cannotWrite(path: string, error: unknown): DestinationError {
  const reason = error instanceof Error ? error.message : String(error);
  return new DestinationError(`cannot write ${path}: ${reason}`, undefined, { cause: error });
}
