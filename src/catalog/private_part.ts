/**
 * What an encrypted backup keeps to itself: its label, its annotations and the names of databases
 * and tablespaces. The rest of backup.json stays readable, so that listing and pruning need no key.
 *
 * @module
 */
import * as v from "valibot";
import { type ObjectOpener, type ObjectSealer, readSealHeader } from "../crypto/crypto.ts";
import { IntegrityError, KeyError } from "../domain/errors.ts";
import type { BackupManifest, ManifestObject } from "./manifest.ts";
import { privatePartSchema } from "./manifest_schema.ts";
import { stableJson } from "./stable_json.ts";

type PrivatePart = v.InferOutput<typeof privatePartSchema>;

/**
 * The form in which a manifest is stored.
 *
 * @param options.key of backup.json: under another one it does not open.
 * @throws {TypeError} when the backup is encrypted and there is nothing to encrypt with: its names
 *   are never written in the clear.
 */
export async function withSealedPart(
  manifest: BackupManifest,
  { key, sealer }: { readonly key: string; readonly sealer: ObjectSealer | undefined },
): Promise<BackupManifest> {
  if (manifest.encryption === null) return manifest;
  if (!sealer) throw new TypeError(`backup ${manifest.id} is encrypted and its manifest cannot be`);
  const plain = new TextEncoder().encode(stableJson(privatePart(manifest)));
  const sealed = await sealer.seal(key, plain);
  return {
    ...manifest,
    ...{ label: null, annotations: {}, tablespaces: [], databases: [] },
    objects: manifest.objects.map(({ database: _, ...object }) => object),
    encryption: {
      scheme: manifest.encryption.scheme,
      keyId: readSealHeader(sealed)!.header.keyId,
      sealed: Buffer.from(sealed).toString("base64"),
    },
  };
}

/**
 * The manifest with what it kept to itself. Without an identity that opens it, the manifest as it is
 * stored: {@link ManifestEncryption.sealed} then tells that it is closed.
 *
 * @throws {IntegrityError} when it was changed, or belongs to another backup.
 */
export async function withOpenedPart(
  manifest: BackupManifest,
  { key, opener }: { readonly key: string; readonly opener: ObjectOpener | undefined },
): Promise<BackupManifest> {
  const { sealed, ...encryption } = manifest.encryption ?? {};
  if (sealed === undefined || !opener) return manifest;
  try {
    const plain = await opener.open(key, new Uint8Array(Buffer.from(sealed, "base64")));
    const { dumps, ...rest } = parsePrivate(new TextDecoder().decode(plain), key);
    const objects = manifest.objects.map((object) => named(object, { dumps, key }));
    return { ...manifest, ...rest, objects, encryption: { ...encryption, scheme: SCHEME } };
  } catch (error) {
    if (error instanceof KeyError) return manifest;
    throw error;
  }
}

const SCHEME = "backupctl.seal/1";

function privatePart(
  { label, annotations, tablespaces, databases, objects }: BackupManifest,
): PrivatePart {
  const dumps = objects.flatMap(({ key, database }) =>
    database === undefined ? [] : [[key, database]]
  );
  return {
    ...{ label, annotations: { ...annotations } },
    tablespaces: [...tablespaces],
    databases: [...databases],
    dumps: Object.fromEntries(dumps),
  };
}

function parsePrivate(json: string, key: string): PrivatePart {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new IntegrityError(`the encrypted part of ${key} is not JSON`);
  }
  const result = v.safeParse(privatePartSchema, value);
  if (result.success) return result.output;
  const faults = result.issues.slice(0, 5).map((issue) =>
    `${v.getDotPath(issue) ?? ""}: ${issue.message}`
  );
  throw new IntegrityError(
    `the encrypted part of ${key} is not what backupctl writes: ${faults.join("; ")}`,
  );
}

function named(
  object: ManifestObject,
  { dumps, key }: { readonly dumps: Readonly<Record<string, string>>; readonly key: string },
): ManifestObject {
  if (object.role !== "dump") return object;
  if (!Object.hasOwn(dumps, object.key)) {
    throw new IntegrityError(`the encrypted part of ${key} does not name dump ${object.key}`);
  }
  return { ...object, database: dumps[object.key]! };
}
