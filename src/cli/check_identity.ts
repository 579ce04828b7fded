import type { Config } from "../config/config.ts";
import { UsageError } from "../domain/errors.ts";

/**
 * Before a restore begins: whether what opens encrypted backups can be read.
 *
 * @throws {KeyError} when the identity cannot be read: better now than after the listing.
 * @throws {UsageError} when PostgreSQL could not read it later.
 */
export async function checkIdentity(
  { encryption }: Config,
  { rollsForward }: { readonly rollsForward: boolean },
): Promise<void> {
  const file = encryption?.identity_file;
  if (file === undefined) return;
  const { readIdentities, STANDARD_INPUT } = await import("./read_identities.ts");
  if (rollsForward && file === STANDARD_INPUT) {
    throw new UsageError(
      "to roll forward, PostgreSQL fetches the WAL itself, and has no standard input",
      "name a file that its user can read: --identity FILE",
    );
  }
  await readIdentities(file);
}
