import { createHash } from "node:crypto";
import type { Bytes } from "../domain/bytes.ts";
import { IntegrityError } from "../domain/errors.ts";
import type { StoredBlock } from "./block_reader.ts";
import type { StoredForm } from "./codec_port.ts";

/** Counts and hashes an object while it is read, and compares it with what the manifest says. */
export class StoredFormCheck {
  readonly #expected: StoredForm | undefined;
  readonly #hash = createHash("sha256");
  #storedBytes = 0;
  #rawBytes = 0;

  constructor(expected: StoredForm | undefined) {
    this.#expected = expected;
  }

  /** The next stored bytes. @throws {IntegrityError} when there are more than expected. */
  stored(bytes: Bytes): void {
    if (!this.#expected) return;
    this.#storedBytes += bytes.length;
    if (this.#storedBytes > this.#expected.storedBytes) {
      throw new IntegrityError(
        `the object is longer than its ${this.#expected.storedBytes} bytes`,
      );
    }
    this.#hash.update(bytes);
  }

  /** The next block, before it is opened. @throws {IntegrityError} when it would be too much. */
  block(block: StoredBlock): void {
    this.#rawBytes += block.rawBytes;
    if (!this.#expected || this.#rawBytes <= this.#expected.rawBytes) return;
    throw new IntegrityError(
      `the object holds more than its ${this.#expected.rawBytes} raw bytes`,
    );
  }

  /** @throws {IntegrityError} unless the whole is what was expected. */
  end(): void {
    if (!this.#expected) return;
    const { storedBytes, rawBytes, sha256 } = this.#expected;
    if (this.#storedBytes !== storedBytes) {
      throw new IntegrityError(
        `the object is cut short: ${this.#storedBytes} of ${storedBytes} bytes`,
      );
    }
    const found = this.#hash.digest("hex");
    if (found !== sha256) {
      throw new IntegrityError(`the object has SHA-256 ${found}, expected ${sha256}`);
    }
    if (this.#rawBytes !== rawBytes) {
      throw new IntegrityError(
        `the object holds ${this.#rawBytes} raw bytes, expected ${rawBytes}`,
      );
    }
  }
}
