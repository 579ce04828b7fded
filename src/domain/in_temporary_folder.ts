import { DestinationError } from "./errors.ts";

/**
 * Makes a file or folder where temporary ones go, which the environment decides.
 *
 * @throws {DestinationError} when nothing can be made there.
 */
export function inTemporaryFolder(make: () => string): string {
  try {
    return make();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DestinationError(
      `no temporary file can be made: ${reason.replace(/^(.*?) \(os error \d+\)/s, "$1")}`,
      "set TMPDIR to a folder that this user can write to",
      { cause },
    );
  }
}
