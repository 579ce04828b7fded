import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError, ObjectMissingError } from "../../domain/errors.ts";
import { isSealed } from "../../domain/sealed_form.ts";
import { parseTimelineHistory, type TimelineHistory } from "../../domain/timeline_history.ts";
import type { ObjectStore, ReadOptions } from "../../storage/storage.ts";

/** More history than any cluster has: about 2,000 promotions. */
const HISTORY_LIMIT_BYTES = 128 * 1024;

/**
 * Reads an archived history file, also an encrypted one: what it says of branches needs no key.
 *
 * @param options.timeline the one that the file is named for.
 * @returns undefined when it makes no sense, or was removed since it was listed.
 * @throws {StorageError} when the store cannot be asked.
 */
export async function readStoredHistory(
  store: ObjectStore,
  { timeline, key, ...reading }: ReadOptions & { readonly timeline: number; readonly key: string },
): Promise<TimelineHistory | undefined> {
  try {
    return parseTimelineHistory(timeline, await readText(await store.get(key, reading), key));
  } catch (error) {
    if (error instanceof IntegrityError || error instanceof ObjectMissingError) return undefined;
    throw error;
  }
}

/** Of an encrypted one, the part that needs no key. */
async function readText(stream: ReadableStream<Bytes>, key: string): Promise<string> {
  const parts: Bytes[] = [];
  let length = 0;
  for await (const part of stream) {
    parts.push(part);
    length += part.length;
    if (length > HISTORY_LIMIT_BYTES) throw new IntegrityError(`${key} is too long`);
  }
  const bytes = await new Blob(parts).bytes();
  if (!isSealed(bytes)) return new TextDecoder().decode(bytes);
  const { publicText } = await import("../../crypto/crypto.ts");
  const text = publicText(bytes);
  if (text === undefined) throw new IntegrityError(`${key} is cut off`);
  return text;
}
