import { createPublicKey, type KeyObject, verify } from "node:crypto";
import type { Bytes } from "../domain/bytes.ts";
import { IntegrityError } from "../domain/errors.ts";

/** 64 bytes in base64. */
const SIGNATURE_CHARACTERS = 88;
const NEWLINE = 0x0a;

/** The public keys whose signatures count. */
export class TrustedKeys {
  /** As they were given. */
  readonly names: readonly string[];
  readonly #keys: readonly KeyObject[];

  /** @param keys of Ed25519: SubjectPublicKeyInfo (RFC 8410) in base64. */
  constructor(keys: readonly string[]) {
    this.names = keys;
    this.#keys = keys.map((key) =>
      createPublicKey({ key: Buffer.from(key, "base64"), format: "der", type: "spki" })
    );
  }

  /**
   * The text of what `SigningKey.sign` made. Nothing of it is looked at before its signature.
   *
   * @param where the object, for messages.
   * @throws {IntegrityError} when no trusted key signed exactly these bytes.
   */
  open(signed: Bytes, { where }: { readonly where: string }): string {
    const at = signed.length - SIGNATURE_CHARACTERS - 1;
    if (at > 0 && signed[at - 1] === NEWLINE && signed.at(-1) === NEWLINE) {
      const text = signed.subarray(0, at);
      const signature = signatureOf(signed.subarray(at, -1));
      if (signature && this.#keys.some((key) => verify(null, text, key, signature))) {
        return new TextDecoder("utf-8", { ignoreBOM: true }).decode(text);
      }
    }
    throw new IntegrityError(
      `${where} is not signed by a trusted key`,
      "it was changed or put there by somebody else, or signing.trusted_keys lacks the key",
    );
  }
}

/** Base64 has several forms of the same bytes; one of them counts. */
function signatureOf(line: Bytes): Buffer | undefined {
  const text = Buffer.from(line).toString("latin1");
  const signature = Buffer.from(text, "base64");
  return signature.toString("base64") === text ? signature : undefined;
}
