/** Frames of a sealed object, one at a time, by WebCrypto: its work is done on other threads. */
import { type Bytes, discard } from "../domain/bytes.ts";
import { IntegrityError } from "../domain/errors.ts";
import {
  FRAME_HEAD_BYTES,
  FRAME_TAG_BYTES,
  frameNonce,
  readFrameHead,
  writeFrameHead,
} from "./seal_format.ts";

/** What a frame of an object is sealed with. */
export interface FrameSeal {
  readonly key: CryptoKey;
  /** Of what stands in front of the object's frames. */
  readonly digest: Bytes;
}

/** Which frame of the object it is. */
export interface FramePlace {
  readonly index: number;
  readonly last: boolean;
}

/** @returns a key for AES-256-GCM that cannot be read back. */
export async function importKey(secret: Bytes): Promise<CryptoKey> {
  return await crypto.subtle.importKey("raw", secret, "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** A frame in two parts, as they are stored one behind the other. */
export interface SealedFrame {
  readonly head: Bytes;
  /** In a buffer of its own. */
  readonly sealed: Bytes;
}

/** Seals a frame. @param part.plain is free again as soon as this returns its promise. */
export async function sealFrame(
  { key, digest }: FrameSeal,
  { index, last, plain }: FramePlace & { readonly plain: Bytes },
): Promise<SealedFrame> {
  const parameters = { name: "AES-GCM", iv: frameNonce(index, last), additionalData: digest };
  const head = writeFrameHead(plain.length, last);
  const sealed = new Uint8Array(await crypto.subtle.encrypt(parameters, key, plain));
  return { head, sealed };
}

/** Puts a frame where it is to be, and gives back its memory. @returns how long it is. */
export function placeFrame(into: Bytes, { head, sealed }: SealedFrame): number {
  const bytes = head.length + sealed.length;
  into.set(head);
  into.set(sealed, head.length);
  discard(sealed);
  return bytes;
}

/** How long a frame of so many plain bytes is as it is stored. */
export function frameBytes(plainBytes: number): number {
  return FRAME_HEAD_BYTES + plainBytes + FRAME_TAG_BYTES;
}

/** @throws {IntegrityError} when it is not the frame that was sealed for this place. */
export async function openFrame(
  { key, digest }: FrameSeal,
  { index, last, sealed }: FramePlace & { readonly sealed: Bytes },
): Promise<Bytes> {
  const parameters = { name: "AES-GCM", iv: frameNonce(index, last), additionalData: digest };
  try {
    const plain = new Uint8Array(await crypto.subtle.decrypt(parameters, key, sealed));
    discard(sealed);
    return plain;
  } catch (cause) {
    throw new IntegrityError(
      `sealed frame ${index} is damaged, or was not written for this place`,
      undefined,
      { cause },
    );
  }
}

/** A frame as it is stored, not opened yet. */
export interface StoredFrame extends FramePlace {
  /** In a buffer of its own, its tag at the end. */
  readonly sealed: Bytes;
}

/** Splits stored bytes behind the header, in whatever pieces they come, into frames. */
export class FrameReader {
  readonly #head = new Uint8Array(FRAME_HEAD_BYTES);
  #headFilled = 0;
  #frame: StoredFrame | undefined;
  #filled = 0;
  #index = 0;
  #ended = false;

  /**
   * The frames that `bytes` completes.
   *
   * @throws {IntegrityError} when something follows the last one.
   */
  *push(bytes: Bytes): Generator<StoredFrame> {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#ended) throw new IntegrityError("bytes follow the last frame of a sealed object");
      rest = this.#frame ? this.#fill(this.#frame, rest) : this.#fillHead(rest);
      const frame = this.#frame;
      if (!frame || this.#filled < frame.sealed.length) continue;
      this.#frame = undefined;
      this.#ended = frame.last;
      yield frame;
    }
  }

  /** @throws {IntegrityError} unless the last frame was there. */
  end(): void {
    if (this.#ended) return;
    throw new IntegrityError(`the sealed object is cut short in frame ${this.#index}`);
  }

  #fillHead(bytes: Bytes): Bytes {
    const part = bytes.subarray(0, FRAME_HEAD_BYTES - this.#headFilled);
    this.#head.set(part, this.#headFilled);
    this.#headFilled += part.length;
    if (this.#headFilled === FRAME_HEAD_BYTES) this.#start();
    return bytes.subarray(part.length);
  }

  #start(): void {
    const { plainBytes, last } = readFrameHead(this.#head);
    const sealed = new Uint8Array(plainBytes + FRAME_TAG_BYTES);
    this.#frame = { index: this.#index, last, sealed };
    this.#index += 1;
    this.#filled = 0;
    this.#headFilled = 0;
  }

  #fill({ sealed }: StoredFrame, bytes: Bytes): Bytes {
    const part = bytes.subarray(0, sealed.length - this.#filled);
    sealed.set(part, this.#filled);
    this.#filled += part.length;
    return bytes.subarray(part.length);
  }
}
