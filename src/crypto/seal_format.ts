/**
 * The form of a sealed object: a header that everybody can read and nobody can change, then frames
 * of AES-256-GCM (NIST SP 800-38D). docs/repository-format.md has it byte by byte.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type Bytes, joinBytes, MiB } from "../domain/bytes.ts";
import { IntegrityError, RepositoryError } from "../domain/errors.ts";
import { isSealed, SEALED_MAGIC } from "../domain/sealed_form.ts";

/** What backup.json calls this form. */
export const SEAL_SCHEME = "backupctl.seal/1";
/** No frame holds more plain bytes than this; a block of the codec fits. */
export const MAX_FRAME_BYTES = 2 * MiB;
/** Behind the sealed bytes of each frame. */
export const FRAME_TAG_BYTES = 16;
/** In front of them: the plain length, its highest bit set in the last frame. */
export const FRAME_HEAD_BYTES = 4;
/** No key is stepped further than this: a forged header must not keep a reader busy. */
export const MAX_STEP = 100_000;

/** What stands in front of the header's JSON: the name, the version of the form, the length. */
const VERSION_AT = SEALED_MAGIC.length;
const LENGTH_AT = VERSION_AT + 1;
const PREFIX_BYTES = LENGTH_AT + 4;
/** The header, then the frames. */
const PLAIN_FORM = 1;
/** A tag between them, which is known only when all else is sealed. */
const TAGGED_FORM = 2;
const TAG_BYTES = 32;
const MAX_HEADER_BYTES = 64 * 1024;
const LAST = 0x8000_0000;

/** What stands in front of the frames. It is authenticated with them. */
export interface SealHeader {
  /** Of the data key: 32 hexadecimal digits. */
  readonly keyId: string;
  /** How often the data key was stepped on before it was used here. */
  readonly step: number;
  /** Of this object alone: 64 hexadecimal digits. */
  readonly salt: string;
  /** The data key as an age file, in base64. */
  readonly wrapped: string;
  /**
   * WAL: tells whether two objects hold the same file, to who knows the cluster's secret. It stands
   * behind the JSON; in objects of form 1 within it.
   */
  readonly tag?: string;
  /** What readers without a key need to know, such as the branches of a timeline. */
  readonly text?: string;
}

/** A header with its length, and what authenticates it. */
export interface ReadHeader {
  readonly header: SealHeader;
  /** Where the first frame begins. */
  readonly bytes: number;
  /** SHA-256 of the header as it is stored: associated data of each frame but the last. */
  readonly digest: Bytes;
  /** SHA-256 of everything in front of the frames, the tag included: that of the last one. */
  readonly lastDigest: Bytes;
}

/**
 * How a sealed object begins.
 *
 * @param options.tagged whether {@link withTag} follows.
 */
export function writeSealHeader(
  header: Omit<SealHeader, "tag">,
  { tagged = false }: { readonly tagged?: boolean } = {},
): Bytes {
  const json = new TextEncoder().encode(JSON.stringify(header));
  if (json.length > MAX_HEADER_BYTES) {
    throw new RangeError(`a seal's header of ${json.length} bytes is above ${MAX_HEADER_BYTES}`);
  }
  const stored = new Uint8Array(PREFIX_BYTES + json.length);
  stored.set(SEALED_MAGIC);
  stored[VERSION_AT] = tagged ? TAGGED_FORM : PLAIN_FORM;
  new DataView(stored.buffer).setUint32(LENGTH_AT, json.length, true);
  stored.set(json, PREFIX_BYTES);
  return stored;
}

/** The header with its tag behind it. @param tag 64 hexadecimal digits. */
export function withTag(header: Bytes, tag: string): Bytes {
  const bytes = Buffer.from(tag, "hex");
  if (bytes.length !== TAG_BYTES) throw new RangeError(`a tag of ${bytes.length} bytes`);
  return joinBytes([header, new Uint8Array(bytes)]);
}

/** SHA-256 of what stands in front of the frames: their associated data. */
export function digestOf(front: Bytes): Bytes {
  return new Uint8Array(createHash("sha256").update(front).digest());
}

/**
 * Reads how a sealed object begins.
 *
 * @returns undefined when more bytes are needed.
 * @throws {IntegrityError} when this is no sealed object, or its header makes no sense.
 * @throws {RepositoryError} when it is of a newer version.
 */
export function readSealHeader(bytes: Bytes): ReadHeader | undefined {
  if (bytes.length < PREFIX_BYTES) {
    if (isBeginning(bytes)) return undefined;
    throw notSealed();
  }
  if (!isSealed(bytes)) throw notSealed();
  const version = bytes[VERSION_AT]!;
  if (version !== PLAIN_FORM && version !== TAGGED_FORM) {
    throw new RepositoryError(
      `an object is sealed in form ${version}; this backupctl opens 1 and 2`,
      "upgrade backupctl",
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(LENGTH_AT, true);
  if (length > MAX_HEADER_BYTES) throw broken(`promises ${length} bytes`);
  const tagAt = PREFIX_BYTES + length;
  const end = tagAt + (version === TAGGED_FORM ? TAG_BYTES : 0);
  if (bytes.length < end) return undefined;
  const tag = version === TAGGED_FORM && Buffer.from(bytes.subarray(tagAt, end)).toString("hex");
  const header = parse(bytes.subarray(PREFIX_BYTES, tagAt));
  return {
    header: tag ? { ...header, tag } : header,
    bytes: end,
    digest: digestOf(bytes.subarray(0, tagAt)),
    lastDigest: digestOf(bytes.subarray(0, end)),
  };
}

/** The part of a sealed object that needs no key; undefined when there is none. */
export function publicText(sealed: Bytes): string | undefined {
  return readSealHeader(sealed)?.header.text;
}

/** What stands in front of a frame. */
export function writeFrameHead(plainBytes: number, last: boolean): Bytes {
  const head = new Uint8Array(FRAME_HEAD_BYTES);
  new DataView(head.buffer).setUint32(0, (plainBytes | (last ? LAST : 0)) >>> 0, true);
  return head;
}

/** @throws {IntegrityError} when it promises more than a frame may hold. */
export function readFrameHead(
  head: Bytes,
): { readonly plainBytes: number; readonly last: boolean } {
  const value = new DataView(head.buffer, head.byteOffset, FRAME_HEAD_BYTES).getUint32(0, true);
  const plainBytes = value & (LAST - 1);
  if (plainBytes > MAX_FRAME_BYTES) {
    throw new IntegrityError(`a sealed frame promises ${plainBytes} bytes, more than any may hold`);
  }
  return { plainBytes, last: value >= LAST };
}

/** The place of a frame and whether it is the last: no two frames of a key have the same. */
export function frameNonce(index: number, last: boolean): Bytes {
  const nonce = new Uint8Array(12);
  const view = new DataView(nonce.buffer);
  view.setBigUint64(3, BigInt(index));
  view.setUint8(11, last ? 1 : 0);
  return nonce;
}

function parse(json: Bytes): SealHeader {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch {
    throw broken("is not JSON");
  }
  if (!isHeader(value)) throw broken("lacks what every header has");
  const { keyId, step, salt, wrapped, tag, text } = value;
  return {
    ...{ keyId, step, salt, wrapped },
    ...(tag !== undefined && { tag }),
    ...(text !== undefined && { text }),
  };
}

function isHeader(value: unknown): value is SealHeader {
  if (value === null || typeof value !== "object") return false;
  const { keyId, step, salt, wrapped, tag, text } = value as Record<string, unknown>;
  return matches(keyId, /^[0-9a-f]{32}$/) && matches(salt, /^[0-9a-f]{64}$/) &&
    matches(wrapped, /^[A-Za-z0-9+/]+={0,2}$/) &&
    (tag === undefined || matches(tag, /^[0-9a-f]{64}$/)) &&
    (text === undefined || typeof text === "string") &&
    Number.isSafeInteger(step) && (step as number) >= 0 && (step as number) <= MAX_STEP;
}

function matches(value: unknown, pattern: RegExp): value is string {
  return typeof value === "string" && pattern.test(value);
}

function isBeginning(bytes: Bytes): boolean {
  return SEALED_MAGIC.slice(0, bytes.length).every((byte, at) => bytes[at] === byte);
}

function notSealed(): IntegrityError {
  return new IntegrityError(
    "the object is not encrypted, and it must be",
    "was it replaced by somebody who has no key?",
  );
}

function broken(what: string): IntegrityError {
  return new IntegrityError(`the header of a sealed object ${what}`);
}
