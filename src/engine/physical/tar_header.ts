import { type Bytes, joinBytes } from "../../domain/bytes.ts";
import { TAR_BLOCK_BYTES } from "./tar_member.ts";

/** What a header is made of. */
export interface TarHeaderFields {
  /** Below the data directory, without a slash at its end. */
  readonly path: string;
  readonly type: "file" | "directory";
  /** Of the content; 0 for a folder. */
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
  readonly uid: number;
  readonly gid: number;
}

const NAME_BYTES = 100;
const PREFIX_BYTES = 155;
/** The most that 11 octal digits say. */
const LARGEST_OCTAL = 8 ** 11 - 1;
const LARGEST_ID = 8 ** 7 - 1;
const TYPE = { file: "0", directory: "5", extended: "x" } as const;

/**
 * Headers of a tar member, POSIX.1-2001 ustar. A path that fits no ustar header gets a `pax`
 * extended header in front, which says it whole.
 */
export function tarHeader(fields: TarHeaderFields): Bytes {
  const name = UTF8.encode(fields.type === "directory" ? `${fields.path}/` : fields.path);
  const place = split(name);
  if (place) return ustar(place, { ...fields, type: TYPE[fields.type] });
  const record = paxRecord("path", name);
  const padded = new Uint8Array(Math.ceil(record.length / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES);
  padded.set(record);
  const common = { ...fields, size: record.length, mode: 0o600, type: TYPE.extended };
  const extended = ustar({ name: UTF8.encode("PaxHeader"), prefix: EMPTY }, common);
  // For programs that know no extension. A cut through a character would be no UTF-8.
  const ascii = name.map((byte) => byte < 0x80 ? byte : 0x5f);
  const short = { name: ascii.subarray(0, NAME_BYTES), prefix: EMPTY };
  return joinBytes([extended, padded, ustar(short, { ...fields, type: TYPE[fields.type] })]);
}

interface Place {
  readonly name: Bytes;
  readonly prefix: Bytes;
}

const EMPTY: Bytes = new Uint8Array(0);
const UTF8 = new TextEncoder();

/** Into a prefix and a name around a slash, when they fit. */
function split(path: Bytes): Place | undefined {
  if (path.length <= NAME_BYTES) return { name: path, prefix: EMPTY };
  const slash = path.indexOf(0x2f, path.length - NAME_BYTES - 1);
  if (slash < 1 || slash > PREFIX_BYTES || slash === path.length - 1) return undefined;
  return { name: path.subarray(slash + 1), prefix: path.subarray(0, slash) };
}

function ustar(
  { name, prefix }: Place,
  fields: Omit<TarHeaderFields, "path" | "type"> & { readonly type: string },
): Bytes {
  const header = new Uint8Array(TAR_BLOCK_BYTES);
  const text = (at: number, value: string) => writeAscii(header, { at, value });
  header.set(name);
  text(100, octal(fields.mode & 0o7777, 7));
  text(108, octal(Math.min(fields.uid, LARGEST_ID), 7));
  text(116, octal(Math.min(fields.gid, LARGEST_ID), 7));
  writeSize(header, fields.size);
  text(136, octal(Math.max(0, Math.trunc(fields.modifiedAt / 1000)), 11));
  text(148, "        ");
  text(156, fields.type);
  text(257, "ustar\0" + "00");
  header.set(prefix, 345);
  text(148, `${octal(sumOf(header), 6)}\0 `);
  return header;
}

// Loops: these run for each of perhaps a million files.

function writeAscii(
  header: Bytes,
  { at, value }: { readonly at: number; readonly value: string },
): void {
  for (let index = 0; index < value.length; index++) header[at + index] = value.charCodeAt(index);
}

function sumOf(header: Bytes): number {
  let sum = 0;
  for (let index = 0; index < header.length; index++) sum += header[index]!;
  return sum;
}

/** From 8 GiB on in base 256, as PostgreSQL and GNU tar do. */
function writeSize(header: Bytes, size: number): void {
  if (size <= LARGEST_OCTAL) {
    return writeAscii(header, { at: 124, value: octal(size, 11) });
  }
  header[124] = 0x80;
  new DataView(header.buffer).setBigUint64(128, BigInt(size));
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}

/** `<length> <key>=<value>\n`, the length counting itself. */
function paxRecord(key: string, value: Bytes): Bytes {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return joinBytes([UTF8.encode(`${length} ${key}=`), value, UTF8.encode("\n")]);
}
