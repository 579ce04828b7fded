import type { BackupManifest } from "../catalog/catalog.ts";
import type { CodecPool } from "../codec/codec.ts";
import { KeyError } from "../domain/errors.ts";

/**
 * What {@link Codec.decode} is told of encryption.
 *
 * @param key the object's full key in the store.
 */
export function sealedAs(
  { encryption }: Pick<BackupManifest, "encryption">,
  key: string,
): { readonly sealedAs?: string } {
  return encryption === null ? {} : { sealedAs: key };
}

/**
 * An encrypted backup cannot be restored, nor its restore planned, while its own names are closed.
 *
 * @throws {KeyError} when no identity was given, or none that opens it.
 */
export function refuseClosed(
  { id, encryption }: Pick<BackupManifest, "id" | "encryption">,
  codecs: CodecPool,
): void {
  if (encryption === null) return;
  if (encryption.sealed === undefined && codecs.unseal !== undefined) return;
  throw new KeyError(
    `backup ${id} is encrypted, and no identity that opens it was given`,
    "name a file with one: --identity FILE (- for standard input), or encryption.identity_file",
  );
}
