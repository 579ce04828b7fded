/**
 * Wrapping of data keys by age (https://age-encryption.org/v1). The library is loaded when a key is
 * wrapped or opened, and then only: the WAL path mostly does neither.
 *
 * @module
 */
import type { Bytes } from "../domain/bytes.ts";
import { ConfigError, KeyError } from "../domain/errors.ts";

const KEY_BYTES = 32;

/** A new identity, which is secret, and the recipient that belongs to it, which is not. */
export async function generateIdentity(): Promise<{
  readonly identity: string;
  readonly recipient: string;
}> {
  const { generateX25519Identity, identityToRecipient } = await import("age-encryption");
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/**
 * Makes sure that something can be wrapped to each of the recipients.
 *
 * @throws {ConfigError} naming the one that is none, or when there is none at all.
 */
export async function checkRecipients(recipients: readonly string[]): Promise<void> {
  await encrypterFor(recipients);
}

/** @returns an age file in base64. @throws {ConfigError} when a recipient is none. */
export async function wrapKey(secret: Bytes, recipients: readonly string[]): Promise<string> {
  const file = await (await encrypterFor(recipients)).encrypt(secret);
  return Buffer.from(file).toString("base64");
}

/**
 * Opens a wrapped key.
 *
 * @param wrapped an age file in base64.
 * @returns undefined when none of the identities is a recipient's.
 * @throws {KeyError} when an identity is none.
 */
export async function unwrapKey(
  wrapped: string,
  identities: readonly string[],
): Promise<Bytes | undefined> {
  const { Decrypter } = await import("age-encryption");
  for (const identity of identities) {
    const decrypter = new Decrypter();
    refusing(() => decrypter.addIdentity(identity));
    try {
      const secret = await decrypter.decrypt(new Uint8Array(Buffer.from(wrapped, "base64")));
      if (secret.length === KEY_BYTES) return secret as Bytes;
    } catch {
      // Not for this identity, or not what was wrapped: no key either way.
    }
  }
  return undefined;
}

async function encrypterFor(recipients: readonly string[]) {
  const { Encrypter } = await import("age-encryption");
  if (recipients.length === 0) {
    throw new ConfigError(
      "encryption is configured without a recipient",
      '"backupctl key generate" makes an identity and prints its recipient',
    );
  }
  const encrypter = new Encrypter();
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient);
    } catch (cause) {
      throw new ConfigError(
        `encryption.recipients: ${JSON.stringify(recipient.slice(0, 80))} is not an age recipient`,
        'a recipient begins with "age1"; "backupctl key generate" makes one',
        { cause },
      );
    }
  }
  return encrypter;
}

/** Never with the identity in the message. */
function refusing(add: () => void): void {
  try {
    add();
  } catch {
    throw new KeyError(
      "the identity is not an age identity",
      'it begins with "AGE-SECRET-KEY-1" and stands on a line of its own',
    );
  }
}
