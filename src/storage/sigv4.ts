/**
 * AWS Signature Version 4 in headers. IAM User Guide, "Create a signed AWS API request". Synchronous,
 * since five asynchronous HMACs cost more than the rest of a small request.
 *
 * @module
 */
import { createHash, createHmac } from "node:crypto";
import type { Bytes } from "../domain/bytes.ts";

/** What a request is signed with. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Stands for the body's hash where TLS and a checksum protect it. */
export const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";

/** What is signed. */
export interface SignedRequest {
  readonly method: string;
  /** Encoded by {@link encodePath}. */
  readonly path: string;
  /** Names and values before encoding. */
  readonly query?: Readonly<Record<string, string>>;
  /** Lower-case names, `host` among them. */
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of the body in hexadecimal, or {@link UNSIGNED_PAYLOAD}. */
  readonly payloadHash: string;
}

/** Signs for `service` s3 in `region` at `time`, and returns all headers to send. */
export function signRequest(
  request: SignedRequest,
  { credentials, region, time }: {
    readonly credentials: AwsCredentials;
    readonly region: string;
    readonly time: Date;
  },
): Record<string, string> {
  const stamp = time.toISOString().replace(/[-:]|\.\d+/g, "");
  const scope = `${stamp.slice(0, 8)}/${region}/s3/aws4_request`;
  const headers: Record<string, string> = {
    ...request.headers,
    "x-amz-content-sha256": request.payloadHash,
    "x-amz-date": stamp,
    ...(credentials.sessionToken && { "x-amz-security-token": credentials.sessionToken }),
  };
  const names = Object.keys(headers).sort();
  const canonical = [
    request.method,
    request.path,
    encodeQuery(request.query ?? {}),
    ...names.map((name) => `${name}:${headers[name]!.trim().replace(/ +/g, " ")}`),
    "",
    names.join(";"),
    request.payloadHash,
  ].join("\n");
  const toSign = ["AWS4-HMAC-SHA256", stamp, scope, sha256Hex(canonical)].join("\n");
  const key = scope.split("/").reduce<string | Uint8Array>(
    (key, part) => hmac(key, part),
    `AWS4${credentials.secretAccessKey}`,
  );
  const signature = createHmac("sha256", key).update(toSign).digest("hex");
  headers["authorization"] = `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, ` +
    `SignedHeaders=${names.join(";")}, Signature=${signature}`;
  return headers;
}

/** A query as it is signed and sent: sorted by name, both sides encoded. */
export function encodeQuery(query: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(query).map(([name, value]) =>
    [encode(name), encode(value)] as const
  );
  return pairs.sort(([a], [b]) => a < b ? -1 : 1).map((pair) => pair.join("=")).join("&");
}

/** A path as it is signed and sent: every segment encoded, the slashes kept. */
export function encodePath(path: string): string {
  return path.split("/").map(encode).join("/");
}

/** SHA-256 in lower-case hexadecimal. */
export function sha256Hex(data: string | Bytes): string {
  return createHash("sha256").update(data).digest("hex");
}

/** RFC 3986 without the exceptions of `encodeURIComponent`. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function hmac(key: string | Uint8Array, text: string): Uint8Array {
  return createHmac("sha256", key).update(text).digest();
}
