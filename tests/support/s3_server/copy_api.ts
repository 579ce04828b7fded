/** CopyObject (S3 API Reference), within one bucket. */
import { checksumOf } from "./checksums.ts";
import type { HttpAnswer } from "./http_connection.ts";
import { element, S3Fault, type S3Request, xmlAnswer } from "./s3_request.ts";
import type { ServerOptions } from "./s3_server.ts";
import { type Bucket, etagOf, keptHeaders, type StoredObject } from "./stored_object.ts";

/** Copies an object; with `x-amz-checksum-algorithm` the answer has the checksum of the copy. */
export function copyObject(bucket: Bucket, request: S3Request, options: ServerOptions): HttpAnswer {
  const path = decodeURIComponent(request.headers.get("x-amz-copy-source") ?? "");
  const [name = "", ...key] = path.replace(/^\//, "").split("/");
  const source = bucket.objects.get(key.join("/"));
  if (name !== request.bucket || !source?.bytes) {
    throw new S3Fault(404, "NoSuchKey", "The specified key does not exist.");
  }
  const match = request.headers.get("x-amz-copy-source-if-match");
  if (!options.ignoreConditions && match !== null && match !== source.etag) {
    throw new S3Fault(412, "PreconditionFailed", "At least one of the pre-conditions did not hold");
  }
  const algorithm = request.headers.get("x-amz-checksum-algorithm")?.toLowerCase();
  const value = algorithm && checksumOf(algorithm, source.bytes);
  const replaced = request.headers.get("x-amz-metadata-directive") === "REPLACE";
  const object: StoredObject = {
    ...source,
    key: request.key,
    etag: etagOf(source.bytes),
    modified: new Date(),
    headers: replaced ? keptHeaders(request.headers, options) : source.headers,
    checksum: algorithm && value ? { algorithm, value, type: "FULL_OBJECT" } : undefined,
  };
  bucket.objects.set(request.key, object);
  const sum = algorithm && value ? element(`Checksum${algorithm.toUpperCase()}`, value) : "";
  return xmlAnswer(
    200,
    `<CopyObjectResult>${element("ETag", object.etag)}${
      element("LastModified", object.modified.toISOString())
    }${sum}</CopyObjectResult>`,
  );
}
