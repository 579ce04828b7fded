import { createHash } from "node:crypto";
import type { Bytes } from "../domain/bytes.ts";
import { IntegrityError } from "../domain/errors.ts";
import type { StoredBlock } from "./block_reader.ts";
import type { ExpectedForm } from "./codec_port.ts";

/** Counts and hashes an object while it is read, and compares it with what the manifest says. */
export class StoredFormCheck {
  readonly #expected: ExpectedForm;
  readonly #hash = createHash("sha256");
  #storedBytes = 0;
  #rawBytes = 0;

  /** @param expected what of it is undefined is not compared. */
  constructor(expected: ExpectedForm = {}) {
    this.#expected = expected;
  }

  /** The next stored bytes. @throws {IntegrityError} when there are more than expected. */
  stored(bytes: Bytes): void {
    this.#storedBytes += bytes.length;
    const { storedBytes, sha256 } = this.#expected;
    if (storedBytes !== undefined && this.#storedBytes > storedBytes) {
      throw new IntegrityError(`the object is longer than its ${storedBytes} bytes`);
    }
    if (sha256 !== undefined) this.#hash.update(bytes);
  }

  /** The next block, before it is opened. @throws {IntegrityError} when it would be too much. */
  block(block: StoredBlock): void {
    this.#rawBytes += block.rawBytes;
    const { rawBytes } = this.#expected;
    if (rawBytes === undefined || this.#rawBytes <= rawBytes) return;
    throw new IntegrityError(`the object holds more than its ${rawBytes} raw bytes`);
  }

  /** @throws {IntegrityError} unless the whole is what was expected. */
  end(): void {
    const { storedBytes, rawBytes, sha256 } = this.#expected;
    if (storedBytes !== undefined && this.#storedBytes !== storedBytes) {
      throw new IntegrityError(
        `the object is cut short: ${this.#storedBytes} of ${storedBytes} bytes`,
      );
    }
    this.#compareHash(sha256);
    if (rawBytes !== undefined && this.#rawBytes !== rawBytes) {
      throw new IntegrityError(
        `the object holds ${this.#rawBytes} raw bytes, expected ${rawBytes}`,
      );
    }
  }

  #compareHash(expected: string | undefined): void {
    if (expected === undefined) return;
    const found = this.#hash.digest("hex");
    if (found === expected) return;
    throw new IntegrityError(`the object has SHA-256 ${found}, expected ${expected}`);
  }
}
