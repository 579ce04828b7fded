/** Checksums of uploads (S3 User Guide, "Checking object integrity"), and the aws-chunked framing. */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Bytes } from "../../../src/domain/bytes.ts";
import { S3Fault, type S3Request } from "./s3_request.ts";

/** One checksum of a body, in base64. */
export interface Checksum {
  /** `crc32`, `sha1` or `sha256`. */
  readonly algorithm: string;
  readonly value: string;
}

const ALGORITHMS = ["crc32", "sha1", "sha256"];

/** The decoded body of a request whose checksums, in headers or trailer, were found right. */
export interface CheckedBody {
  readonly body: Bytes;
  readonly checksum: Checksum | undefined;
}

/** Decodes the body and refuses it when a checksum is wrong. */
export function checkBody({ headers, body }: S3Request): CheckedBody {
  const streaming = headers.get("x-amz-content-sha256") === "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
  const decoded = streaming ? decodeAwsChunked(body) : { body, trailer: new Headers() };
  const md5 = headers.get("content-md5");
  if (md5 !== null && md5 !== createHash("md5").update(decoded.body).digest("base64")) {
    throw new S3Fault(400, "BadDigest", "The Content-MD5 you specified did not match");
  }
  let checksum: Checksum | undefined;
  for (const algorithm of ALGORITHMS) {
    const name = `x-amz-checksum-${algorithm}`;
    const value = headers.get(name) ?? decoded.trailer.get(name);
    if (value === null) continue;
    if (value !== checksumOf(algorithm, decoded.body)) {
      throw new S3Fault(400, "BadDigest", `The ${algorithm} you specified did not match`);
    }
    checksum = { algorithm, value };
  }
  return { body: decoded.body, checksum };
}

/** The checksum of `body`, in base64. */
export function checksumOf(algorithm: string, body: Bytes): string {
  if (algorithm !== "crc32") return createHash(algorithm).update(body).digest("base64");
  const value = Buffer.alloc(4);
  value.writeUInt32BE(crc32(body));
  return value.toString("base64");
}

/** The checksum of checksums that a multipart object has. */
export function compositeChecksum(algorithm: string, parts: readonly string[]): string {
  const joined = Buffer.concat(parts.map((part) => Buffer.from(part, "base64")));
  return `${checksumOf(algorithm, new Uint8Array(joined))}-${parts.length}`;
}

/** S3 API Reference, "Signature calculations: trailing headers": size, data, … 0, trailer lines. */
function decodeAwsChunked(body: Bytes): { readonly body: Bytes; readonly trailer: Headers } {
  const input = Buffer.from(body);
  const chunks: Uint8Array[] = [];
  for (let at = 0;;) {
    const lineEnd = input.indexOf("\r\n", at);
    const length = parseInt(input.toString("latin1", at, lineEnd), 16);
    if (lineEnd < 0 || Number.isNaN(length)) {
      throw new S3Fault(400, "IncompleteBody", "The request body is not aws-chunked");
    }
    at = lineEnd + 2;
    if (length === 0) {
      return { body: new Uint8Array(Buffer.concat(chunks)), trailer: parseTrailer(input, at) };
    }
    chunks.push(input.subarray(at, at + length));
    at += length + 2;
  }
}

function parseTrailer(input: Buffer, from: number): Headers {
  const trailer = new Headers();
  for (const line of input.toString("latin1", from).split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) trailer.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return trailer;
}
