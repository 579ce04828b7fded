/** What a key may look like, and in which order keys stand: the same for every adapter. */
import { StorageError } from "../domain/errors.ts";

const ENCODER = new TextEncoder();
/** Amazon S3 User Guide, "Naming Amazon S3 objects": at most 1,024 bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024;
/** NAME_MAX of the usual file systems: what a folder can hold, every store must accept. */
const MAX_SEGMENT_BYTES = 255;
/** The first segment that adapters keep to themselves (unfinished files, metadata, probes). */
export const RESERVED_SEGMENT = ".backupctl";
/** Amazon S3 User Guide, "Working with object metadata": 2 KB, names and values together. */
const MAX_METADATA_BYTES = 2048;

/**
 * Refuses what some store could not hold or what could leave the store's root.
 *
 * @throws {StorageError} with the key and what is wrong with it.
 */
export function checkKey(key: string): void {
  const fault = keyFault(key);
  if (fault === undefined) return;
  throw new StorageError(
    `object key ${JSON.stringify(abbreviate(key))} ${fault}`,
    "keys are non-empty segments of at most 255 bytes joined by /, without control characters",
  );
}

/** Whether backupctl could have written an object of this name; listings leave out the others. */
export function isKey(key: string): boolean {
  return keyFault(key) === undefined;
}

/**
 * The order of the keys' UTF-8 bytes, in which S3 lists. JavaScript's own order differs from it
 * where a surrogate pair meets a character above U+DFFF.
 */
export function compareKeys(left: string, right: string): number {
  const shared = Math.min(left.length, right.length);
  for (let at = 0; at < shared; at++) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(at);
    if (a !== b) return codePointRank(a) - codePointRank(b);
  }
  return left.length - right.length;
}

/**
 * Refuses metadata that S3 would refuse or change on the way (RFC 9110, 5.5: field values).
 *
 * @throws {StorageError} with the name of the field.
 */
export function checkMetadata(metadata: Readonly<Record<string, string>>): void {
  let bytes = 0;
  for (const [name, value] of Object.entries(metadata)) {
    if (!/^[a-z0-9_-]+$/.test(name)) {
      throw new StorageError(`metadata name ${JSON.stringify(name)} is not lower-case ASCII`);
    }
    if (!/^(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$/.test(value)) {
      throw new StorageError(
        `the value of metadata ${name} is not plain ASCII without outer blanks`,
      );
    }
    bytes += name.length + value.length;
  }
  if (bytes <= MAX_METADATA_BYTES) return;
  throw new StorageError(`metadata of ${bytes} bytes is above the limit of ${MAX_METADATA_BYTES}`);
}

function keyFault(key: string): string | undefined {
  if (key === "") return "is empty";
  if (!key.isWellFormed()) return "is not well-formed Unicode";
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x1f\x7f]/.test(key)) return "holds a control character";
  if (ENCODER.encode(key).length > MAX_KEY_BYTES) return `is longer than ${MAX_KEY_BYTES} bytes`;
  const segments = key.split("/");
  if (segments[0] === RESERVED_SEGMENT) return `lies in the reserved folder ${RESERVED_SEGMENT}`;
  for (const segment of segments) {
    if (segment === "") return "has an empty segment";
    if (segment === "." || segment === "..") return `has the segment ${segment}`;
    if (ENCODER.encode(segment).length > MAX_SEGMENT_BYTES) {
      return `has a segment longer than ${MAX_SEGMENT_BYTES} bytes`;
    }
  }
  return undefined;
}

/** Moves the surrogates (D800–DFFF) behind E000–FFFF, where their code points belong. */
function codePointRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

function abbreviate(key: string): string {
  return key.length <= 200 ? key : `${key.slice(0, 200)}…`;
}
