/** Multipart uploads (S3 API Reference, "CreateMultipartUpload" and its kin). */
import type { Bytes } from "../../../src/domain/bytes.ts";
import { checkBody, compositeChecksum } from "./checksums.ts";
import type { HttpAnswer } from "./http_connection.ts";
import { checkConditions, encryptionHeaders } from "./objects_api.ts";
import {
  element,
  elements,
  elementText,
  S3Fault,
  type S3Request,
  xmlAnswer,
} from "./s3_request.ts";
import type { ServerOptions } from "./s3_server.ts";
import {
  type Bucket,
  etagOf,
  keptHeaders,
  multipartEtag,
  type StoredObject,
  type StoredPart,
  type Upload,
} from "./stored_object.ts";

/** Begins an upload; the names of its headers are checked at Complete. */
export function createUpload(
  { uploads }: Bucket,
  request: S3Request,
  options: ServerOptions,
): HttpAnswer {
  const upload: Upload = {
    id: crypto.randomUUID(),
    key: request.key,
    initiated: new Date(),
    headers: keptHeaders(request.headers, options),
    algorithm: request.headers.get("x-amz-checksum-algorithm")?.toLowerCase(),
    parts: new Map(),
  };
  uploads.set(upload.id, upload);
  const fields = element("Bucket", request.bucket) + element("Key", request.key) +
    element("UploadId", upload.id);
  return xmlAnswer(200, `<InitiateMultipartUploadResult>${fields}</InitiateMultipartUploadResult>`);
}

/** Stores a part, replacing one of the same number. */
export function uploadPart(bucket: Bucket, request: S3Request, options: ServerOptions): HttpAnswer {
  const upload = findUpload(bucket, request);
  const number = Number(request.query.get("partNumber"));
  if (!Number.isInteger(number) || number < 1 || number > options.maxPartNumber) {
    throw new S3Fault(
      400,
      "InvalidArgument",
      `Part number must be an integer between 1 and ${options.maxPartNumber}, inclusive`,
    );
  }
  const { body, checksum } = checkBody(request);
  if (body.length > options.maxPutBytes) throw new S3Fault(400, "EntityTooLarge");
  const part: StoredPart = {
    bytes: options.keepBodies ? body : undefined,
    size: body.length,
    etag: etagOf(body),
    checksum,
  };
  upload.parts.set(number, part);
  const sum = checksum && { [`x-amz-checksum-${checksum.algorithm}`]: checksum.value };
  return { status: 200, headers: { etag: part.etag, ...sum }, body: new Uint8Array(0) };
}

/** Joins the parts that the request names. */
export function completeUpload(
  bucket: Bucket,
  request: S3Request,
  options: ServerOptions,
): HttpAnswer {
  const upload = findUpload(bucket, request);
  const wanted = elements(new TextDecoder().decode(request.body), "Part");
  if (wanted.length === 0) throw new S3Fault(400, "MalformedXML", "no parts");
  checkOrder(wanted);
  const parts = wanted.map((xml) => findPart(upload, xml));
  if (parts.slice(0, -1).some(({ size }) => size < options.minPartBytes)) {
    throw new S3Fault(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum");
  }
  if (options.equalParts && new Set(parts.slice(0, -1).map(({ size }) => size)).size > 1) {
    throw new S3Fault(400, "InvalidPart", "All non-trailing parts must have the same length.");
  }
  checkConditions(bucket, request, options);
  const object = join(upload, parts);
  bucket.uploads.delete(upload.id);
  bucket.objects.set(object.key, object);
  const fields = element("Bucket", request.bucket) + element("Key", object.key) +
    element("ETag", object.etag);
  const answer = xmlAnswer(
    200,
    `<CompleteMultipartUploadResult>${fields}</CompleteMultipartUploadResult>`,
  );
  return { ...answer, headers: { ...answer.headers, ...encryptionHeaders(object) } };
}

/** Forgets an upload. */
export function abortUpload(bucket: Bucket, request: S3Request): HttpAnswer {
  bucket.uploads.delete(findUpload(bucket, request).id);
  return { status: 204, headers: {}, body: new Uint8Array(0) };
}

/** The unfinished uploads under a prefix, in pages. */
export function listUploads(
  { uploads }: Bucket,
  { query }: S3Request,
  pageKeys: number,
): HttpAnswer {
  const prefix = query.get("prefix") ?? "";
  const after = query.get("upload-id-marker") ?? "";
  const found = [...uploads.values()]
    .filter((upload) => upload.key.startsWith(prefix) && upload.id > after)
    .sort((a, b) => a.id < b.id ? -1 : 1);
  const page = found.slice(0, pageKeys);
  const entries = page.map(({ key, id, initiated }) =>
    `<Upload>${element("Key", key)}${element("UploadId", id)}${
      element("Initiated", initiated.toISOString())
    }</Upload>`
  );
  const last = page.at(-1);
  const next = page.length < found.length && last !== undefined
    ? element("NextKeyMarker", last.key) + element("NextUploadIdMarker", last.id)
    : "";
  const truncated = element("IsTruncated", String(page.length < found.length));
  return xmlAnswer(
    200,
    `<ListMultipartUploadsResult>${truncated}${next}${
      entries.join("")
    }</ListMultipartUploadsResult>`,
  );
}

function findUpload({ uploads }: Bucket, { query, key }: S3Request): Upload {
  const upload = uploads.get(query.get("uploadId") ?? "");
  if (upload?.key === key) return upload;
  throw new S3Fault(404, "NoSuchUpload", "The specified multipart upload does not exist.");
}

function checkOrder(parts: readonly string[]): void {
  const numbers = parts.map((xml) => Number(elementText(xml, "PartNumber")));
  if (numbers.every((number, at) => at === 0 || number > numbers[at - 1]!)) return;
  throw new S3Fault(400, "InvalidPartOrder", "The list of parts was not in ascending order.");
}

/** S3 User Guide, "Checking object integrity": Create's algorithm must come back for each part. */
function findPart({ parts, algorithm }: Upload, xml: string): StoredPart {
  const part = parts.get(Number(elementText(xml, "PartNumber")));
  const etag = elementText(xml, "ETag")?.replaceAll('"', "");
  if (part === undefined || part.etag.replaceAll('"', "") !== etag) {
    throw new S3Fault(400, "InvalidPart", "One or more of the specified parts could not be found.");
  }
  if (algorithm === undefined) {
    if (!/<Checksum/.test(xml)) return part;
    throw new S3Fault(400, "InvalidPart", "Checksum of a part of an upload without algorithm");
  }
  const claimed = elementText(xml, `Checksum${algorithm.toUpperCase()}`);
  if (claimed === undefined) {
    throw new S3Fault(
      400,
      "InvalidRequest",
      `The upload was created using a ${algorithm} checksum. The complete request must include ` +
        "the checksum for each part. It was missing for a part.",
    );
  }
  if (part.checksum?.algorithm === algorithm && part.checksum.value === claimed) return part;
  throw new S3Fault(400, "InvalidPart", "The checksum of a part is another.");
}

function join(upload: Upload, parts: readonly StoredPart[]): StoredObject {
  const { algorithm } = upload;
  const sums = parts.map(({ checksum }) => checksum?.value ?? "");
  return {
    key: upload.key,
    bytes: joinBytes(parts),
    size: parts.reduce((sum, { size }) => sum + size, 0),
    etag: multipartEtag(parts),
    modified: new Date(),
    headers: upload.headers,
    checksum: algorithm === undefined
      ? undefined
      : { algorithm, value: compositeChecksum(algorithm, sums), type: "COMPOSITE" },
  };
}

function joinBytes(parts: readonly StoredPart[]): Bytes | undefined {
  const bytes = parts.map((part) => part.bytes);
  if (bytes.some((part) => part === undefined)) return undefined;
  return new Uint8Array(Buffer.concat(bytes as Uint8Array[]));
}
