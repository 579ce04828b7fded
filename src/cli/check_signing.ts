import type { UnreadableBackup } from "../catalog/catalog.ts";
import type { Config } from "../config/config.ts";
import { RepositoryError } from "../domain/errors.ts";
import { openCatalog, openStore } from "./open_parts.ts";
import { readSigningKey } from "./signing.ts";

/** What the configured keys are, and which backups they say nothing of. */
export interface CheckedSigning {
  /** Undefined: nothing is signed here. */
  readonly publicKey?: string;
  readonly trusted: number;
  /** By name; none where no key is trusted. */
  readonly unsigned: readonly string[];
}

/**
 * Reads the key that signs, and asks every backup for its signature.
 *
 * @throws {KeyError} when the key cannot be read.
 * @throws {ConfigError} when it is not among the trusted ones.
 */
export async function checkSigning(config: Config, signal: AbortSignal): Promise<CheckedSigning> {
  const { key_file: file, trusted_keys: trusted } = config.signing!;
  const key = file === undefined ? undefined : await readSigningKey(config);
  return {
    ...(key && { publicKey: key.publicKey }),
    trusted: trusted?.length ?? 0,
    unsigned: trusted ? await unsigned(config, signal) : [],
  };
}

async function unsigned(config: Config, signal: AbortSignal): Promise<readonly string[]> {
  const store = await openStore(config);
  const found: UnreadableBackup[] = [];
  try {
    const repository = await openCatalog(store, config);
    const onUnreadable = (backup: UnreadableBackup) => void found.push(backup);
    await repository.backups({ withObjects: false, onUnreadable, signal });
  } catch (error) {
    // Before the first backup there is no repository.
    if (!(error instanceof RepositoryError)) throw error;
  } finally {
    await store.close?.();
  }
  return found.map(({ key }) => key.split("/").at(-2) ?? key);
}
