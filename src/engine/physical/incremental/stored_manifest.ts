import type { BackupManifest, Repository } from "../../../catalog/catalog.ts";
import type { CodecPool } from "../../../codec/codec.ts";
import type { Bytes } from "../../../domain/bytes.ts";
import { IntegrityError } from "../../../domain/errors.ts";
import type { ObjectStore } from "../../../storage/storage.ts";
import { namingObject } from "../../naming_object.ts";
import { sealedAs } from "../../sealed_as.ts";

/** Where stored manifests are read from. */
export interface ManifestParts {
  readonly store: ObjectStore;
  readonly repository: Repository;
  readonly codecs: CodecPool;
}

/**
 * PostgreSQL's backup_manifest of a backup, or another of its lists, opened and checked while it is
 * read.
 *
 * @throws {IntegrityError} naming the object when it is damaged or missing.
 */
export async function* storedManifest(
  { store, repository, codecs }: ManifestParts,
  backup: BackupManifest,
  { signal, role = "backup_manifest" }: {
    readonly signal?: AbortSignal;
    readonly role?: "backup_manifest" | "file_list";
  } = {},
): AsyncGenerator<Bytes> {
  const object = backup.objects.find((candidate) => candidate.role === role);
  if (!object) throw new IntegrityError(`backup ${backup.id} has no ${role}`);
  const reading = signal ? { signal } : {};
  const key = `${repository.folder(backup)}${object.key}`;
  const form = { expected: object, ...sealedAs(backup, key) };
  const decoder = codecs.codec(backup.codec).decode({ ...form, ...reading });
  const stream = await namingObject(key, async () => {
    return (await store.get(key, reading)).pipeThrough(decoder);
  });
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await namingObject(key, () => reader.read());
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {}); // it has ended, or failed
  }
}
