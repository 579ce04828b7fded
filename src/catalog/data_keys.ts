/**
 * The register of data keys: each wrapping an object of its own, `<cluster>/keys/<id>/<for>.age`.
 * Encrypted objects hold their wrapped key themselves; this is where other wrappings are put when
 * the recipients change, and where it is known which keys there are.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { ObjectExistsError, ObjectMissingError } from "../domain/errors.ts";
import type { ObjectStore, ReadOptions } from "../storage/storage.ts";
import { readObject } from "./read_object.ts";

/** An age file of one key for a few hundred recipients. */
const MAX_WRAPPING_BYTES = 64 * 1024;

/** Where the keys of a cluster are. */
export interface KeyPlace {
  readonly store: ObjectStore;
  readonly cluster: string;
}

/** One wrapping of a data key, found by its name. */
export interface WrappingName {
  /** Of the data key. */
  readonly id: string;
  /** Of the recipients, see {@link recipientsFingerprint}. */
  readonly recipients: string;
  readonly key: string;
}

/** Tells sets of recipients apart, whatever their order. Recipients are public. */
export function recipientsFingerprint(recipients: readonly string[]): string {
  const text = [...new Set(recipients)].sort().join("\n");
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/**
 * Stores one wrapping, unless there is one for these recipients already.
 *
 * @param key.wrapped an age file in base64.
 */
export async function registerDataKey(
  { store, cluster }: KeyPlace,
  key: { readonly id: string; readonly wrapped: string },
  { recipients, signal }: ReadOptions & { readonly recipients: readonly string[] },
): Promise<void> {
  const name = `${keysFolder(cluster)}${key.id}/${recipientsFingerprint(recipients)}.age`;
  const reading = signal ? { signal } : {};
  // Stores that ignore "only if absent" are asked before.
  if (await store.head(name, reading)) return;
  const body = new Uint8Array(Buffer.from(key.wrapped, "base64"));
  try {
    await store.put(name, body, { ifAbsent: true, ...reading });
  } catch (error) {
    if (!(error instanceof ObjectExistsError)) throw error;
  }
}

/** Every wrapping of a cluster's data keys, or of one of them. */
export async function* listDataKeys(
  { store, cluster }: KeyPlace,
  { id, signal }: ReadOptions & { readonly id?: string } = {},
): AsyncGenerator<WrappingName> {
  const folder = keysFolder(cluster);
  const prefix = id === undefined ? folder : `${folder}${id}/`;
  for await (const { key } of store.list(prefix, signal ? { signal } : {})) {
    const match = /^([0-9a-f]{32})\/([0-9a-f]{16})\.age$/.exec(key.slice(folder.length));
    if (match) yield { id: match[1]!, recipients: match[2]!, key };
  }
}

/** @returns the age file in base64; undefined when it was removed since it was listed. */
export async function readWrapping(
  { store }: KeyPlace,
  { key }: Pick<WrappingName, "key">,
  { signal }: ReadOptions = {},
): Promise<string | undefined> {
  try {
    const options = { limit: MAX_WRAPPING_BYTES, ...(signal && { signal }) };
    const bytes = await readObject(store, key, options);
    return Buffer.from(bytes).toString("base64");
  } catch (error) {
    if (error instanceof ObjectMissingError) return undefined;
    throw error;
  }
}

/** All wrappings of one data key, in base64. */
export async function wrappingsOf(place: KeyPlace, id: string): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const name of listDataKeys(place, { id })) {
    const wrapped = await readWrapping(place, name);
    if (wrapped !== undefined) found.push(wrapped);
  }
  return found;
}

function keysFolder(cluster: string): string {
  return `${cluster}/keys/`;
}
