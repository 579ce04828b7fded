import { ObjectExistsError, ObjectMissingError, RepositoryError } from "../../domain/errors.ts";
import type { WalPlace } from "../../domain/wal_key.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import { readStored } from "./wal_push.ts";

/** How a system takes a cluster's name for its own. */
export interface BindOptions {
  /** Take it over from another system: after pg_upgrade, or a new initdb. */
  readonly takeOver: boolean;
  /** False: the store takes "only if absent" for nothing. */
  readonly conditionalPut: boolean;
  readonly signal?: AbortSignal | undefined;
}

interface Held {
  readonly systemIdentifier: string;
  readonly etag: string | undefined;
}

/** `<cluster>/system.json`: whose WAL is archived under the cluster's name. */
export function systemKey(cluster: string): string {
  return `${cluster}/system.json`;
}

/**
 * Makes sure that the WAL of this system, and of no other, is archived under the cluster's name.
 * The first one to archive takes it.
 *
 * @throws {RepositoryError} when it is another system's.
 */
export async function bindSystem(
  store: ObjectStore,
  place: WalPlace,
  options: BindOptions,
): Promise<void> {
  const { conditionalPut, takeOver } = options;
  const held = conditionalPut && !takeOver ? undefined : await readHeld(store, place, options);
  if (held?.systemIdentifier === place.systemIdentifier) return;
  if (held && !takeOver) throw refused(place, held.systemIdentifier);
  if (await put(store, place, { ...options, replaced: held })) return;
  const other = await readHeld(store, place, options);
  if (other?.systemIdentifier === place.systemIdentifier) return;
  throw refused(place, other?.systemIdentifier ?? "unknown");
}

async function put(
  store: ObjectStore,
  { cluster, systemIdentifier }: WalPlace,
  { conditionalPut, replaced, signal }: BindOptions & { readonly replaced: Held | undefined },
): Promise<boolean> {
  const value = { format: "backupctl.system", systemIdentifier, version: 1 };
  const bytes = new TextEncoder().encode(`${JSON.stringify(value, undefined, 2)}\n`);
  const condition = replaced?.etag === undefined ? { ifAbsent: true } : { ifMatch: replaced.etag };
  try {
    await store.put(systemKey(cluster), bytes, {
      ...(conditionalPut && condition),
      ...(signal && { signal }),
    });
    return true;
  } catch (error) {
    if (error instanceof ObjectExistsError) return false;
    throw error;
  }
}

async function readHeld(
  store: ObjectStore,
  { cluster }: WalPlace,
  { signal }: BindOptions,
): Promise<Held | undefined> {
  const key = systemKey(cluster);
  const reading = signal ? { signal } : {};
  try {
    const info = await store.head(key, reading);
    if (!info) return undefined;
    const text = new TextDecoder().decode(await readStored(await store.get(key, reading), key));
    return { systemIdentifier: parse(text, `${store.location}/${key}`), etag: info.etag };
  } catch (error) {
    if (error instanceof ObjectMissingError) return undefined;
    throw error;
  }
}

function parse(text: string, where: string): string {
  try {
    const { format, systemIdentifier } = JSON.parse(text);
    if (format === "backupctl.system" && /^\d{1,20}$/.test(systemIdentifier)) {
      return systemIdentifier;
    }
  } catch {
    // Not JSON: not ours either.
  }
  throw new RepositoryError(
    `${where} does not say whose WAL is archived here`,
    "does another program write into this folder?",
  );
}

function refused({ cluster, systemIdentifier }: WalPlace, other: string): RepositoryError {
  return new RepositoryError(
    `cluster "${cluster}" of this repository is system ${other}, not ${systemIdentifier}`,
    "give this cluster a name of its own; after pg_upgrade, run wal-push once with --new-system",
  );
}
