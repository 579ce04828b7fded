/** What an identity opens of a repository. */
import {
  type KeyPlace,
  listDataKeys,
  readWrapping,
  type WrappingName,
} from "../catalog/data_keys.ts";
import type { Repository } from "../catalog/catalog.ts";
import { type KeyRing, unwrapKey, wrapKey } from "../crypto/crypto.ts";
import { KeyError, RepositoryError } from "../domain/errors.ts";

/** Data keys, and the backups by name. */
export interface OpenedKeys {
  readonly dataKeys: number;
  /** Of those, by id. */
  readonly closedKeys: readonly string[];
  readonly backups: number;
  /** Encrypted backups that the identity does not open, by name. */
  readonly closedBackups: readonly string[];
}

/** Every wrapping of each data key, by its id. */
export async function dataKeysOf(
  place: KeyPlace,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly WrappingName[]>> {
  const found = new Map<string, WrappingName[]>();
  for await (const name of listDataKeys(place, { signal })) {
    found.set(name.id, [...found.get(name.id) ?? [], name]);
  }
  return found;
}

/** The secret of a data key; undefined when no wrapping of it opens. */
export async function openDataKey(
  { place, ring, signal }: {
    readonly place: KeyPlace;
    readonly ring: KeyRing;
    readonly signal: AbortSignal;
  },
  wrappings: readonly WrappingName[],
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  for (const name of wrappings) {
    const wrapped = await readWrapping(place, name, { signal });
    if (wrapped === undefined) continue;
    try {
      return await ring.secret({ keyId: name.id, wrapped });
    } catch (error) {
      if (!(error instanceof KeyError)) throw error;
    }
  }
  return undefined;
}

/**
 * Tries an identity on everything that is encrypted.
 *
 * @throws {KeyError} when the identity cannot be read.
 */
export async function checkKeys(
  { place, repository, ring, signal }: {
    readonly place: KeyPlace;
    /** Opens manifests with the same identity. */
    readonly repository: Repository;
    readonly ring: KeyRing;
    readonly signal: AbortSignal;
  },
): Promise<OpenedKeys> {
  const keys = await dataKeysOf(place, signal);
  const closedKeys: string[] = [];
  for (const [id, wrappings] of keys) {
    if (!await openDataKey({ place, ring, signal }, wrappings)) closedKeys.push(id);
  }
  const backups = (await backupsOf(repository, signal)).filter(({ encryption }) => encryption);
  return {
    ...{ dataKeys: keys.size, closedKeys, backups: backups.length },
    closedBackups: backups.filter(({ encryption }) => encryption?.sealed !== undefined)
      .map(({ id }) => id),
  };
}

/** Before the first backup there is no repository. */
async function backupsOf(repository: Repository, signal: AbortSignal) {
  try {
    return await repository.backups({ signal });
  } catch (error) {
    if (error instanceof RepositoryError) return [];
    throw error;
  }
}

/** Whether what is encrypted to the recipients now can be opened. @throws {ConfigError} */
export async function opensProbe(
  recipients: readonly string[],
  identities: readonly string[],
): Promise<boolean> {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const opened = await unwrapKey(await wrapKey(secret, recipients), identities);
  return opened !== undefined && opened.every((byte, at) => byte === secret[at]);
}
