/** AWS Signature Version 4 as the server checks it (S3 API Reference, "Authenticating requests"). */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { S3Fault, type S3Request } from "./s3_request.ts";

/** Who may ask. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

const MAX_SKEW_MS = 15 * 60_000;

/**
 * Refuses a request that is not signed by `credentials` for `region`, or whose body is another.
 *
 * @throws {S3Fault}
 */
export function checkSignature(
  request: S3Request,
  { credentials, region, now }: {
    readonly credentials: Credentials;
    readonly region: string;
    readonly now: Date;
  },
): void {
  const { headers } = request;
  const fields = parseAuthorization(headers.get("authorization"));
  const [accessKey, day = "", scopeRegion = "", service = ""] = fields.Credential.split("/");
  if (accessKey !== credentials.accessKeyId) {
    throw new S3Fault(
      403,
      "InvalidAccessKeyId",
      "The AWS Access Key Id you provided does not exist",
    );
  }
  checkToken(headers, credentials);
  if (scopeRegion !== region) {
    const wanted = `The authorization header is malformed; the region '${scopeRegion}' is wrong; ` +
      `expecting '${region}'`;
    throw new S3Fault(400, "AuthorizationHeaderMalformed", wanted, { Region: region });
  }
  const date = headers.get("x-amz-date") ?? "";
  checkSkew(date, now);
  const signedHeaders = fields.SignedHeaders.split(";");
  checkSignedHeaders(headers, signedHeaders);
  const canonical = canonicalRequest(request, signedHeaders);
  const scope = `${day}/${scopeRegion}/${service}/aws4_request`;
  const toSign = ["AWS4-HMAC-SHA256", date, scope, sha256(canonical)].join("\n");
  const key = [day, scopeRegion, service, "aws4_request"].reduce<string | Uint8Array>(
    (secret, part) => createHmac("sha256", secret).update(part).digest(),
    `AWS4${credentials.secretAccessKey}`,
  );
  const expected = createHmac("sha256", key).update(toSign).digest("hex");
  const given = fields.Signature;
  if (expected.length === given.length && timingSafeEqual(bytes(expected), bytes(given))) return;
  throw new S3Fault(
    403,
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match",
  );
}

/** Refuses a body that has another hash than the signed one. */
export function checkPayload({ headers, body }: S3Request): void {
  const claimed = headers.get("x-amz-content-sha256") ?? "";
  if (claimed === "UNSIGNED-PAYLOAD" || claimed === "STREAMING-UNSIGNED-PAYLOAD-TRAILER") return;
  if (claimed === createHash("sha256").update(body).digest("hex")) return;
  throw new S3Fault(400, "XAmzContentSHA256Mismatch", "The provided x-amz-content-sha256 is wrong");
}

interface Authorization {
  readonly Credential: string;
  readonly SignedHeaders: string;
  readonly Signature: string;
}

function parseAuthorization(header: string | null): Authorization {
  const match = header?.match(
    /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]+)$/,
  );
  if (!match) throw new S3Fault(403, "AccessDenied", "Access Denied");
  const [, Credential = "", SignedHeaders = "", Signature = ""] = match;
  return { Credential, SignedHeaders, Signature };
}

function checkToken(headers: Headers, { sessionToken }: Credentials): void {
  const given = headers.get("x-amz-security-token") ?? undefined;
  if (given === sessionToken) return;
  throw new S3Fault(400, "InvalidToken", "The provided token is malformed or otherwise invalid.");
}

function checkSkew(date: string, now: Date): void {
  const iso = date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z");
  if (Math.abs(new Date(iso).getTime() - now.getTime()) <= MAX_SKEW_MS) return;
  throw new S3Fault(
    403,
    "RequestTimeTooSkewed",
    "The difference between the request time and the current time is too large.",
    { ServerTime: now.toISOString() },
  );
}

/** Host and every x-amz header must be signed, or a proxy could change them. */
function checkSignedHeaders(headers: Headers, signed: readonly string[]): void {
  const needed = ["host", ...[...headers.keys()].filter((name) => name.startsWith("x-amz-"))];
  const missing = needed.filter((name) => !signed.includes(name));
  if (missing.length === 0) return;
  throw new S3Fault(403, "AccessDenied", `There were headers not signed: ${missing}`);
}

function canonicalRequest(
  { method, target, headers }: S3Request,
  signed: readonly string[],
): string {
  const [path = "", query = ""] = target.split("?");
  const pairs = query.split("&").filter((pair) => pair !== "")
    .map((pair) => pair.includes("=") ? pair : `${pair}=`);
  return [
    method,
    path,
    pairs.toSorted().join("&"),
    ...signed.map((name) => `${name}:${(headers.get(name) ?? "").replace(/ +/g, " ").trim()}`),
    "",
    signed.join(";"),
    headers.get("x-amz-content-sha256") ?? "",
  ].join("\n");
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
