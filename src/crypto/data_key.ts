import { hkdfSync, randomBytes } from "node:crypto";
import type { Bytes } from "../domain/bytes.ts";
import { wrapKey } from "./age_keys.ts";

const KEY_BYTES = 32;
const SALT_BYTES = 32;
const EMPTY = new Uint8Array(0);

/** A secret that the keys of objects are made from, as it is before its first step. */
export interface DataKey {
  /** 32 hexadecimal digits; says nothing of the secret. */
  readonly id: string;
  /** 32 bytes. */
  readonly secret: Bytes;
  /** The secret as an age file, in base64: only identities of the recipients open it. */
  readonly wrapped: string;
}

/** A data key that may have been stepped on: what it was before cannot be told from it. */
export interface KeyStep extends DataKey {
  /** How often it was stepped on. */
  readonly step: number;
}

/** A fresh data key. @throws {ConfigError} when a recipient is none. */
export async function newDataKey(recipients: readonly string[]): Promise<KeyStep> {
  const secret = new Uint8Array(randomBytes(KEY_BYTES));
  const wrapped = await wrapKey(secret, recipients);
  return { id: randomBytes(16).toString("hex"), secret, wrapped, step: 0 };
}

/** A salt for one object. */
export function newSalt(): string {
  return randomBytes(SALT_BYTES).toString("hex");
}

/** The secret after one step. The way back does not exist (RFC 5869, HKDF-Expand is one-way). */
export function nextSecret(secret: Bytes): Bytes {
  return derive(secret, { salt: EMPTY, info: "backupctl seal 1 next" });
}

/**
 * The key of one object.
 *
 * @param object.name its full key in the store, without the store's prefix: under another name it
 *   does not open.
 */
export function objectKey(
  secret: Bytes,
  { name, salt }: { readonly name: string; readonly salt: string },
): Bytes {
  const info = `backupctl seal 1 object ${name}`;
  return derive(secret, { salt: new Uint8Array(Buffer.from(salt, "hex")), info });
}

function derive(
  secret: Bytes,
  { salt, info }: { readonly salt: Bytes; readonly info: string },
): Bytes {
  return new Uint8Array(
    hkdfSync("sha256", secret, salt, new TextEncoder().encode(info), KEY_BYTES),
  );
}
