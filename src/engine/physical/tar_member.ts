/**
 * Headers of tar members as PostgreSQL writes them: POSIX ustar (IEEE Std 1003.1-1988), sizes in
 * octal or, from 8 GiB on, in base 256. PostgreSQL sends no extended headers: names that do not
 * fit 99 bytes make BASE_BACKUP itself fail (src/port/tar.c, tarCreateHeader).
 *
 * @module
 */
import type { Bytes } from "../../domain/bytes.ts";
import { IntegrityError } from "../../domain/errors.ts";

/** Everything in a tar is padded to a multiple of this. */
export const TAR_BLOCK_BYTES = 512;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const LATIN1 = new TextDecoder("latin1");

/** What a header says. */
export interface TarMember {
  /** Without `./` before and a slash behind it. Not checked: it may be hostile. */
  readonly name: string;
  readonly type: "file" | "directory" | "symlink";
  /** Of the content behind the header; 0 but for files. */
  readonly size: number;
}

/** Where a field lies in the header. */
interface Field {
  readonly at: number;
  readonly length: number;
}

const NAME: Field = { at: 0, length: 100 };
const SIZE: Field = { at: 124, length: 12 };
const CHECKSUM: Field = { at: 148, length: 8 };
const TYPE_AT = 156;
const MAGIC = { at: 257, bytes: [0x75, 0x73, 0x74, 0x61, 0x72, 0] } as const;
const PREFIX: Field = { at: 345, length: 155 };

const TYPES = new Map<number | undefined, TarMember["type"]>([
  [0, "file"],
  [0x30, "file"],
  [0x32, "symlink"],
  [0x35, "directory"],
]);

/**
 * Reads a header of {@link TAR_BLOCK_BYTES}.
 *
 * @returns undefined for a block of zeros, which ends an archive.
 * @throws {IntegrityError} when its checksum, its form or its type is wrong.
 */
export function parseTarHeader(header: Bytes): TarMember | undefined {
  if (header[0] === 0 && header.every((byte) => byte === 0)) return undefined;
  if (octal(header, CHECKSUM) !== checksum(header)) {
    throw new IntegrityError("a tar header has a wrong checksum");
  }
  const name = memberName(header);
  if (MAGIC.bytes.some((byte, index) => header[MAGIC.at + index] !== byte)) {
    throw new IntegrityError(`tar member ${JSON.stringify(name)} has no ustar header`);
  }
  const type = TYPES.get(header[TYPE_AT]);
  if (!type) {
    throw new IntegrityError(
      `tar member ${JSON.stringify(name)} has the forbidden type ${header[TYPE_AT]}`,
    );
  }
  const size = number(header, SIZE);
  if (type !== "file" && size !== 0) {
    throw new IntegrityError(`tar member ${JSON.stringify(name)} is a ${type} with content`);
  }
  return { name, type, size };
}

/** The most that a path and its record take: PostgreSQL's MAXPGPATH is 1,024. */
const LONGEST_EXTENSION = 16 * 1024;

/**
 * The length of the extended header that follows, when this header announces one.
 *
 * @throws {IntegrityError} when its checksum is wrong, or it is longer than any path needs.
 */
export function extendedHeaderBytes(header: Bytes): number | undefined {
  if (header[TYPE_AT] !== 0x78) return undefined;
  if (octal(header, CHECKSUM) !== checksum(header)) {
    throw new IntegrityError("a tar header has a wrong checksum");
  }
  const size = number(header, SIZE);
  if (size > 0 && size <= LONGEST_EXTENSION) return size;
  throw new IntegrityError(`a tar header is extended by ${size} bytes`);
}

/**
 * The path in a `pax` extended header: records `<length> <key>=<value>\n` (IEEE Std 1003.1-2001,
 * pax). No other record is known.
 *
 * @throws {IntegrityError} when it is anything else than one path in UTF-8.
 */
export function extendedPath(extension: Bytes): string {
  const match = /^(\d{1,5}) path=([^]+)\n$/.exec(LATIN1.decode(extension));
  if (!match || Number(match[1]) !== extension.length) {
    throw new IntegrityError("an extended tar header holds something else than a path");
  }
  return text(extension, { at: match[1]!.length + 6, length: match[2]!.length });
}

/**
 * The same header with `folder/` in front of its name. The name itself stays byte for byte.
 *
 * @param folder at most 150 bytes of ASCII, no slash at its end.
 * @throws {IntegrityError} when the header uses the room for it already.
 */
export function moveTarHeader(header: Bytes, folder: string): Bytes {
  if (header[PREFIX.at] !== 0) {
    throw new IntegrityError(`tar member ${JSON.stringify(memberName(header))} has a long name`);
  }
  const moved = header.slice();
  moved.set(new TextEncoder().encode(folder), PREFIX.at);
  const digits = checksum(moved).toString(8).padStart(6, "0");
  moved.set(new TextEncoder().encode(`${digits}\0 `), CHECKSUM.at);
  return moved;
}

function memberName(header: Bytes): string {
  const name = text(header, NAME);
  const prefix = text(header, PREFIX);
  const whole = prefix === "" ? name : `${prefix}/${name}`;
  return whole.replace(/^\.\//, "").replace(/\/$/, "");
}

function field(header: Bytes, { at, length }: Field): Bytes {
  return header.subarray(at, at + length);
}

function text(header: Bytes, where: Field): string {
  const bytes = field(header, where);
  const end = bytes.indexOf(0);
  const used = end < 0 ? bytes : bytes.subarray(0, end);
  if (used.length === 0) return "";
  try {
    return UTF8.decode(used);
  } catch {
    throw new IntegrityError(
      `tar member ${JSON.stringify(LATIN1.decode(used))} has a name that is not UTF-8`,
      "rename or remove that file in the data directory: PostgreSQL does not need it",
    );
  }
}

function octal(header: Bytes, where: Field): number {
  const digits = LATIN1.decode(field(header, where)).replace(/[\0 ]+$/, "");
  if (!/^ *[0-7]+$/.test(digits)) {
    throw new IntegrityError(`a tar header has the number ${JSON.stringify(digits)}`);
  }
  return Number.parseInt(digits, 8);
}

function number(header: Bytes, where: Field): number {
  const bytes = field(header, where);
  if (bytes[0] !== 0x80) return octal(header, where);
  const value = bytes.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
  if (Number.isSafeInteger(value)) return value;
  throw new IntegrityError(`a tar header promises ${value} bytes`);
}

/** The sum of all bytes, those of the checksum itself counted as spaces. */
function checksum(header: Bytes): number {
  let sum = CHECKSUM.length * 0x20;
  // Loops, not reduce: this runs for each of perhaps a million files.
  for (let index = 0; index < CHECKSUM.at; index++) sum += header[index] ?? 0;
  for (let index = CHECKSUM.at + CHECKSUM.length; index < TAR_BLOCK_BYTES; index++) {
    sum += header[index] ?? 0;
  }
  return sum;
}
