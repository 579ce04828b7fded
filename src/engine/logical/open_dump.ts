import type { BackupManifest, ManifestObject } from "../../catalog/catalog.ts";
import type { Bytes } from "../../domain/bytes.ts";
import type { RestoreParts } from "../parts.ts";
import { namingObject } from "../naming_object.ts";
import { sealedAs } from "../sealed_as.ts";

/** An object of the backup that is being restored. */
export interface DumpSource {
  readonly backup: BackupManifest;
  readonly object: ManifestObject;
  readonly signal?: AbortSignal;
}

/**
 * Reads an object's raw bytes and gives them to `use`. They end only when length and SHA-256 of
 * the stored object turned out to be the manifest's.
 *
 * @throws {IntegrityError} naming the object that is damaged or missing.
 */
export async function withRawObject<T>(
  { repository, store, codecs, progress }: RestoreParts,
  { backup, object, signal }: DumpSource,
  use: (raw: ReadableStream<Bytes>) => Promise<T>,
): Promise<T> {
  const options = signal ? { signal } : {};
  return await namingObject(`${repository.folder(backup)}${object.key}`, async (key) => {
    const stored = await store.get(key, options);
    const decoder = codecs.codec(backup.codec).decode({
      expected: object,
      ...sealedAs(backup, key),
      ...options,
    });
    const counter = new TransformStream<Bytes, Bytes>({
      transform(bytes, controller) {
        progress.advance(bytes.length);
        controller.enqueue(bytes);
      },
    });
    return await use(stored.pipeThrough(decoder).pipeThrough(counter));
  });
}
