import type { Bytes } from "../domain/bytes.ts";
import { IntegrityError } from "../domain/errors.ts";
import type { ObjectStore, ReadOptions } from "../storage/storage.ts";

/**
 * Reads a small text object.
 *
 * @param options.limit bytes; more of them are somebody's attack or mistake.
 * @throws {ObjectMissingError} when the store itself says that it is absent.
 * @throws {IntegrityError} when it is longer than `limit` or not UTF-8.
 */
export async function readTextObject(
  store: ObjectStore,
  key: string,
  options: ReadOptions & { readonly limit: number },
): Promise<string> {
  return decodeUtf8(await readObject(store, key, options), key);
}

/**
 * Reads a small object.
 *
 * @param options.limit bytes; more of them are somebody's attack or mistake.
 * @throws {ObjectMissingError} when the store itself says that it is absent.
 * @throws {IntegrityError} when it is longer than `limit`.
 */
export async function readObject(
  store: ObjectStore,
  key: string,
  { limit, ...options }: ReadOptions & { readonly limit: number },
): Promise<Bytes> {
  const stream = await store.get(key, options);
  const parts: Bytes[] = [];
  let length = 0;
  for await (const part of stream) {
    length += part.length;
    if (length > limit) throw new IntegrityError(`${key} is longer than ${limit} bytes`);
    parts.push(part);
  }
  return await new Blob([...parts]).bytes();
}

/** @throws {IntegrityError} when it is not UTF-8. */
export function decodeUtf8(bytes: Bytes, key: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new IntegrityError(`${key} is not UTF-8`, undefined, { cause: error });
  }
}
