/**
 * The client's side of SCRAM-SHA-256, RFC 5802 and RFC 7677, as PostgreSQL uses it: the user name
 * stays empty, and there is no channel binding.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { PostgresError } from "../../domain/errors.ts";

/** The client neither supports nor wants channel binding; RFC 5802, section 7, `gs2-header`. */
const GS2_HEADER = "n,,";
const KEY_BYTES = 32;
/** PostgreSQL's default is 4,096; more than this would keep a processor busy for minutes. */
const MOST_ITERATIONS = 10_000_000;

const derive = promisify(pbkdf2);

/** One authentication. Call the steps in order. */
export class ScramClient {
  readonly #password: string;
  readonly #nonce: string;
  #serverSignature: Buffer | undefined;
  #verified = false;

  constructor(password: string, nonce = randomBytes(18).toString("base64")) {
    this.#password = normalized(password);
    this.#nonce = nonce;
  }

  /** Whether the server has proved that it knows the password. */
  get verified(): boolean {
    return this.#verified;
  }

  /** `client-first-message`. */
  first(): string {
    return `${GS2_HEADER}${this.#firstBare()}`;
  }

  /**
   * `client-final-message`, the answer to `server-first-message`.
   *
   * @throws {PostgresError} when the server's message is not one, or answers somebody else.
   */
  async final(serverFirst: string): Promise<string> {
    const { nonce, salt, iterations } = parseFirst(serverFirst);
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      throw broken("its nonce does not continue ours");
    }
    const salted = await derive(this.#password, salt, iterations, KEY_BYTES, "sha256");
    const withoutProof = `c=${Buffer.from(GS2_HEADER).toString("base64")},r=${nonce}`;
    const authMessage = `${this.#firstBare()},${serverFirst},${withoutProof}`;
    const clientKey = hmac(salted, "Client Key");
    const storedKey = createHash("sha256").update(clientKey).digest();
    const proof = xor(clientKey, hmac(storedKey, authMessage));
    this.#serverSignature = hmac(hmac(salted, "Server Key"), authMessage);
    return `${withoutProof},p=${proof.toString("base64")}`;
  }

  /**
   * Checks `server-final-message`.
   *
   * @throws {PostgresError} when the server does not know the password either.
   */
  verify(serverFinal: string): void {
    const fields = attributes(serverFinal);
    const error = fields.get("e");
    if (error !== undefined) throw broken(`it answered ${error}`);
    const signature = Buffer.from(fields.get("v") ?? "", "base64");
    const expected = this.#serverSignature;
    if (expected?.length !== signature.length || !timingSafeEqual(expected, signature)) {
      throw broken("its signature is wrong: it may not be the server that it claims to be");
    }
    this.#verified = true;
  }

  #firstBare(): string {
    return `n=,r=${this.#nonce}`;
  }
}

function parseFirst(message: string): { nonce: string; salt: Buffer; iterations: number } {
  const fields = attributes(message);
  const nonce = fields.get("r") ?? "";
  const salt = Buffer.from(fields.get("s") ?? "", "base64");
  const iterations = Number(fields.get("i"));
  const sane = Number.isInteger(iterations) && iterations > 0 && iterations <= MOST_ITERATIONS;
  if (fields.has("m") || salt.length === 0 || !sane) throw broken("its first message is not one");
  return { nonce, salt, iterations };
}

/** `a=1,b=2` as a map; values may have equals signs. */
function attributes(message: string): Map<string, string> {
  return new Map(message.split(",").map((part) => [part.slice(0, 1), part.slice(2)]));
}

function broken(why: string): PostgresError {
  return new PostgresError(
    `the server's part of SCRAM-SHA-256 is wrong: ${why}`,
    "is something between this machine and PostgreSQL?",
  );
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function xor(left: Buffer, right: Buffer): Buffer {
  return Buffer.from(left.map((byte, index) => byte ^ right[index]!));
}

/** RFC 3454, table C.1.2 without the ASCII space: becomes a space. */
const OTHER_SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g;
/** Table B.1: dropped. */
const DROPPED = /[\u00ad\u034f\u1806\u180b-\u180d\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff]/g;
/** Tables C.2 to C.9, as Unicode knows them: control, private use, surrogates, and not assigned. */
const FORBIDDEN =
  /[\p{Cc}\p{Co}\p{Cs}\p{Cn}\u0340\u0341\u200e\u200f\u202a-\u202e\u206a-\u206f\ufff9-\ufffd\u2ff0-\u2ffb]/u;

/**
 * SASLprep, RFC 4013; as PostgreSQL does, a password that it forbids is taken as it is. The rules
 * for text from right to left are not applied.
 */
function normalized(password: string): string {
  if (/^[\x20-\x7e]*$/.test(password)) return password;
  const mapped = password.replace(OTHER_SPACES, " ").replace(DROPPED, "").normalize("NFKC");
  return FORBIDDEN.test(mapped) || mapped === "" ? password : mapped;
}
