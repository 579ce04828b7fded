import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import type { Bytes } from "../domain/bytes.ts";
import { KeyError } from "../domain/errors.ts";

/** A new Ed25519 key: PKCS #8 in PEM, which is secret, and the public key of it, which is not. */
export function generateSigningKey(): { readonly pem: string; readonly publicKey: string } {
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ format: "pem", type: "pkcs8" });
  return { pem: `${pem}`, publicKey: publicText(privateKey) };
}

/** A private key that texts are signed with: Ed25519, RFC 8032. */
export class SigningKey {
  /** As `openssl pkey -pubout` has it between its two lines. */
  readonly publicKey: string;
  readonly #key: KeyObject;

  private constructor(key: KeyObject) {
    this.#key = key;
    this.publicKey = publicText(key);
  }

  /**
   * Reads PKCS #8 in PEM, as `openssl genpkey -algorithm ed25519` writes it.
   *
   * @param where the file, for messages.
   * @throws {KeyError} when it is none. Never with its content in the message.
   */
  static parse(pem: string, { where }: { readonly where: string }): SigningKey {
    try {
      const key = createPrivateKey(pem);
      if (key.asymmetricKeyType === "ed25519") return new SigningKey(key);
    } catch {
      // What was thrown may quote the text.
    }
    throw new KeyError(
      `${where} holds no Ed25519 private key in PEM`,
      '"backupctl key generate --signing FILE" makes one',
    );
  }

  /**
   * The text and, as its last line, the signature of everything before that line.
   *
   * @param text ends with a newline.
   */
  sign(text: string): Bytes {
    const signature = sign(null, new TextEncoder().encode(text), this.#key);
    return new TextEncoder().encode(`${text}${signature.toString("base64")}\n`);
  }
}

function publicText(key: KeyObject): string {
  return createPublicKey(key).export({ format: "der", type: "spki" }).toString("base64");
}
