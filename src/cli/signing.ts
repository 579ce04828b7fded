/**
 * Signing as the configuration asks for it: one set of signatures for each store that is opened.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { Signatures } from "../catalog/signatures.ts";
import type { Config } from "../config/config.ts";
import { SigningKey, TrustedKeys } from "../crypto/crypto.ts";
import { ConfigError, KeyError } from "../domain/errors.ts";
import { briefReason } from "../log/told_reason.ts";
import type { ObjectStore } from "../storage/storage.ts";
import { signedMemory } from "./signed_memory.ts";

/** Mode bits of everybody but the owner. */
const OTHERS = 0o077;
/** A group may read root's file, as PostgreSQL allows for its own keys. */
const OTHERS_OF_ROOT = 0o037;

/**
 * What signs and checks.
 *
 * @param state where this user's state is kept; undefined when nowhere.
 */
export function makeSignatures(
  store: ObjectStore,
  config: Config,
  state: string | undefined,
): Signatures {
  const { signing, cluster } = config;
  const { key_file: file, trusted_keys: trusted } = signing!;
  let key: Promise<SigningKey> | undefined;
  return new Signatures(store, {
    cluster,
    ...(trusted && { trusted: new TrustedKeys(trusted) }),
    ...(file !== undefined && { key: () => key ??= readSigningKey(config) }),
    ...(state !== undefined && { memory: signedMemory(`${state}/signed/${nameOf(store)}`) }),
  });
}

/** What was seen in one store says nothing of another one. */
function nameOf({ location }: ObjectStore): string {
  return createHash("sha256").update(location).digest("hex").slice(0, 16);
}

/**
 * Makes sure, before hours of work, that what is stored can be signed when it is to be.
 *
 * @throws {KeyError} when the key cannot be read.
 * @throws {ConfigError} when it is not trusted here, or there is none.
 */
export async function requireSigningKey(config: Config): Promise<void> {
  const { signing } = config;
  if (!signing) return;
  if (signing.key_file === undefined) {
    throw new ConfigError(
      "signing.trusted_keys is set and signing.key_file is not: nobody would accept this backup",
      'name the key that signs; "backupctl key generate --signing FILE" makes one',
    );
  }
  await readSigningKey(config);
}

/**
 * The key that signs.
 *
 * @throws {KeyError} when it cannot be read, is none, or others may read it.
 * @throws {ConfigError} when it is not trusted here.
 */
export async function readSigningKey({ signing }: Config): Promise<SigningKey> {
  const file = signing!.key_file!;
  const key = SigningKey.parse(await readPrivate(file), { where: file });
  const trusted = signing!.trusted_keys;
  if (!trusted || trusted.includes(key.publicKey)) return key;
  throw new ConfigError(
    `signing.trusted_keys does not hold the key of ${file}, ${key.publicKey}`,
    "add it, or nothing that this machine signs is accepted",
  );
}

async function readPrivate(file: string): Promise<string> {
  try {
    const { mode, uid } = await Deno.stat(file);
    if (mode === null || (mode & (uid === 0 ? OTHERS_OF_ROOT : OTHERS)) === 0) {
      return await Deno.readTextFile(file);
    }
  } catch (cause) {
    const reason = briefReason(cause);
    throw new KeyError(`the signing key ${file} cannot be read: ${reason}`, undefined, { cause });
  }
  throw new KeyError(`the signing key ${file} may be read by others`, `chmod 600 ${file}`);
}
