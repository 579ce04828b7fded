/** S3's refusals in words that say what to do. */
import { StorageError } from "../domain/errors.ts";
import { isCertificateFailure, type S3Failure } from "./s3_failure.ts";
import type { S3Settings } from "./s3_options.ts";

/** The store gave no answer: a name, a route, a port, a certificate or a time-out. */
export class StorageUnreachableError extends StorageError {
  override readonly code = "STORAGE_UNREACHABLE";
}

/** What was asked for. */
export interface S3Call {
  /** The S3 operation, such as `PutObject`. */
  readonly operation: string;
  /** The key as backupctl knows it; absent for calls about the bucket. */
  readonly key?: string;
}

interface Explanation {
  readonly what: string;
  readonly hint: string | undefined;
}

/** IAM's action for each operation (Service Authorization Reference, "Amazon S3"). */
const PERMISSIONS: Readonly<Record<string, string>> = {
  PutObject: "s3:PutObject",
  CopyObject: "s3:PutObject",
  CreateMultipartUpload: "s3:PutObject",
  UploadPart: "s3:PutObject",
  CompleteMultipartUpload: "s3:PutObject",
  AbortMultipartUpload: "s3:AbortMultipartUpload",
  ListMultipartUploads: "s3:ListBucketMultipartUploads",
  GetObject: "s3:GetObject",
  HeadObject: "s3:GetObject",
  ListObjectsV2: "s3:ListBucket",
  DeleteObject: "s3:DeleteObject",
  DeleteObjects: "s3:DeleteObject",
};

/** A {@link StorageError} for a call that failed for good. */
export function s3Error(failure: S3Failure, call: S3Call, settings: S3Settings): StorageError {
  const { what, hint } = explain(failure, call, settings);
  const subject = call.key === undefined ? "" : ` for object ${call.key}`;
  const message = `${call.operation}${subject} in ${s3Location(settings)} failed: ${what}`;
  const cause = new Error(redact(describe(failure), settings));
  if (
    failure.status === undefined && failure.retryable === "yes" || isCertificateFailure(failure)
  ) {
    return new StorageUnreachableError(redact(message, settings), hint, { cause });
  }
  return new StorageError(redact(message, settings), hint, { cause });
}

/** `s3://bucket/prefix`. */
export function s3Location({ bucket, keyPrefix }: S3Settings): string {
  return `s3://${bucket}${keyPrefix === "" ? "" : `/${keyPrefix.slice(0, -1)}`}`;
}

function describe({ code, message, status, requestId }: S3Failure): string {
  const request = requestId === undefined ? "" : `, request ${requestId}`;
  return `${code}: ${message} (${status === undefined ? "no answer" : `HTTP ${status}`}${request})`;
}

function explain(failure: S3Failure, call: S3Call, settings: S3Settings): Explanation {
  if (failure.status === undefined) return explainSilence(failure, settings);
  const { code, message, status, region } = failure;
  const said = message === code || code === "Unknown" ? message : `${code}: ${message}`;
  // MinIO names the region in every answer, those to requests that are wrong otherwise too.
  if (region !== undefined && region !== settings.region && isWrongRegion(failure)) {
    return {
      what: `the bucket is in the region ${region}`,
      hint: `set repository.region to ${region}`,
    };
  }
  const hint = hintOf(failure, call, settings);
  if (hint !== undefined) return { what: said, hint };
  if (status === 403) return { what: said, hint: permissionHint(call, settings) };
  if (status >= 500 || status === 429) {
    return { what: said, hint: "the store is overloaded or broken; try again later" };
  }
  return { what: said, hint: undefined };
}

function hintOf(
  { code, status }: S3Failure,
  { operation }: S3Call,
  { bucket, endpoint, kmsKeyId }: S3Settings,
): string | undefined {
  switch (code) {
    case "NoSuchBucket":
      return `create the bucket ${bucket}, or correct repository.bucket and the endpoint ` +
        `(${endpoint ?? "AWS"})`;
    case "InvalidAccessKeyId":
      return "the access key is not known there: was it deleted, or is it another provider's?";
    case "SignatureDoesNotMatch":
      return "the secret key does not belong to the access key (a blank or line end too many?), " +
        "or a proxy changes the requests";
    case "InvalidToken":
    case "ExpiredToken":
    case "ExpiredTokenException":
    case "TokenRefreshRequired":
      return "the session token is no longer valid: log in again, or let the credentials refresh " +
        "themselves (profile, web identity, instance role)";
    case "RequestTimeTooSkewed":
      return "set this machine's clock (NTP)";
    case "AuthorizationHeaderMalformed":
    case "PermanentRedirect":
    case "TemporaryRedirect":
      return "is repository.region the bucket's region, and the endpoint that of its provider?";
    case "InvalidStorageClass":
      return "this provider does not have the storage class of repository.storage_class";
    case "QuotaExceeded":
    case "XMinioStorageFull":
      return "free space in the store, raise its quota, or remove the objects of old backups";
    case "NoSuchUpload":
      return "somebody aborted the upload: a lifecycle rule, or a second backupctl cleaning up?";
    case "EntityTooLarge":
      return "the object is larger than this provider allows";
    case "NotImplemented":
      return `this provider lacks something that ${operation} needs: see docs on S3 providers`;
  }
  // AWS: `KMS.DisabledException`; MinIO: `kms:KeyNotFound`.
  if (/^kms[.:]/i.test(code)) {
    return `KMS refuses the key ${
      kmsKeyId ?? "of the account"
    }: does it exist, is it enabled, in ` +
      "this region, and are kms:GenerateDataKey and kms:Decrypt allowed?";
  }
  return status === 301 ? "is repository.region the bucket's region?" : undefined;
}

function permissionHint(
  { operation, key }: S3Call,
  { bucket, keyPrefix, sse }: S3Settings,
): string {
  const permission = PERMISSIONS[operation] ?? `the permission for ${operation}`;
  const on = key === undefined ? bucket : `${bucket}/${keyPrefix}*`;
  const reading = operation === "GetObject" || operation === "HeadObject"
    ? `; without s3:ListBucket on ${bucket}, S3 answers 403 for an absent object too`
    : "";
  const kms = sse === "aws:kms" ? "; with KMS also kms:GenerateDataKey and kms:Decrypt" : "";
  return `allow ${permission} on arn:aws:s3:::${on}${reading}${kms}`;
}

function explainSilence(failure: S3Failure, settings: S3Settings): Explanation {
  const { code, message } = failure;
  const host = settings.endpoint ?? "Amazon S3";
  if (isCertificateFailure(failure)) {
    return {
      what: `the certificate of ${host} is not trusted (${message})`,
      hint: "give its authority as repository.ca_file, or use the name that the certificate is for",
    };
  }
  if (/^CredentialsProviderError$/.test(code) || /credential/i.test(message)) {
    return {
      what: `no credentials were found (${message})`,
      hint: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or an instance role",
    };
  }
  if (/region is missing/i.test(message)) {
    return { what: "the region is not known", hint: "set repository.region or AWS_REGION" };
  }
  return { what: `${host} does not answer (${message})`, hint: networkHint(code, host) };
}

function networkHint(code: string, host: string): string {
  switch (code) {
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `the name in ${host} is not known here: is it spelled right, and does DNS work?`;
    case "ECONNREFUSED":
      return `nothing listens at ${host}: is the port right, and does the service run?`;
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return "is there a route to it, or a firewall between?";
  }
  return "is the network slow or broken, or a firewall or proxy between?";
}

function isWrongRegion({ code, status }: S3Failure): boolean {
  return status === 301 || status === 307 || code === "AuthorizationHeaderMalformed" ||
    code === "IllegalLocationConstraintException" || code === "PermanentRedirect" || status === 400;
}

/** Servers repeat what they were sent: keys and tokens never go into a message. */
function redact(text: string, { credentials }: S3Settings): string {
  const secrets = [credentials?.secretAccessKey, credentials?.sessionToken];
  return secrets.reduce<string>(
    (clean, secret) => secret ? clean.replaceAll(secret, "(secret)") : clean,
    text,
  );
}
