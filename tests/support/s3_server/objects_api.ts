/** PutObject, GetObject, HeadObject, DeleteObject, DeleteObjects, ListObjectsV2. */
import type { Bytes } from "../../../src/domain/bytes.ts";
import { compareKeys } from "../../../src/storage/object_key.ts";
import { checkBody } from "./checksums.ts";
import type { HttpAnswer } from "./http_connection.ts";
import {
  element,
  elements,
  elementText,
  S3Fault,
  type S3Request,
  xmlAnswer,
} from "./s3_request.ts";
import type { ServerOptions } from "./s3_server.ts";
import { type Bucket, etagOf, keptHeaders, type StoredObject } from "./stored_object.ts";

const NOTHING: Bytes = new Uint8Array(0);

/** S3 API Reference, "PutObject". */
export function putObject(bucket: Bucket, request: S3Request, options: ServerOptions): HttpAnswer {
  checkConditions(bucket, request, options);
  const { body, checksum } = checkBody(request);
  if (body.length > options.maxPutBytes) throw new S3Fault(400, "EntityTooLarge");
  const object: StoredObject = {
    key: request.key,
    bytes: options.keepBodies ? body : undefined,
    size: body.length,
    etag: etagOf(body),
    modified: new Date(),
    headers: keptHeaders(request.headers, options),
    checksum: checksum && { ...checksum, type: "FULL_OBJECT" },
  };
  bucket.objects.set(request.key, object);
  const headers = { etag: object.etag, ...encryptionHeaders(object), ...checksumHeaders(object) };
  return { status: 200, headers, body: NOTHING };
}

/** S3 User Guide, "Conditional requests": If-None-Match: * and If-Match of a write. */
export function checkConditions(
  { objects }: Bucket,
  { headers, key }: S3Request,
  { ignoreConditions }: ServerOptions,
): void {
  if (ignoreConditions) return;
  const found = objects.get(key);
  if (headers.get("if-none-match") === "*" && found !== undefined) {
    throw new S3Fault(412, "PreconditionFailed", "At least one of the pre-conditions did not hold");
  }
  const match = headers.get("if-match");
  if (match === null) return;
  if (found === undefined) throw new S3Fault(404, "NoSuchKey", "The specified key does not exist.");
  if (found.etag !== match && found.etag !== `"${match}"`) {
    throw new S3Fault(412, "PreconditionFailed", "At least one of the pre-conditions did not hold");
  }
}

/** S3 API Reference, "GetObject" and "HeadObject". */
export function getObject({ objects }: Bucket, { key, method, headers }: S3Request): HttpAnswer {
  const object = objects.get(key);
  if (object === undefined) {
    throw new S3Fault(404, "NoSuchKey", "The specified key does not exist.");
  }
  const match = headers.get("if-match");
  if (match !== null && match !== object.etag) {
    throw new S3Fault(412, "PreconditionFailed", "At least one of the pre-conditions did not hold");
  }
  const common = {
    etag: object.etag,
    "last-modified": object.modified.toUTCString(),
    "accept-ranges": "bytes",
    ...object.headers,
  };
  const range = method === "GET" ? parseRange(headers.get("range"), object.size) : undefined;
  // The checksum is that of the whole: a part of the object comes without it.
  const mode = headers.get("x-amz-checksum-mode");
  if (mode === "ENABLED" && range === undefined) Object.assign(common, checksumHeaders(object));
  if (method === "HEAD") {
    const length = { "content-length": String(object.size) };
    return { status: 200, headers: { ...common, ...length }, body: NOTHING };
  }
  const [start, end] = range ?? [0, object.size];
  const body = object.bytes?.subarray(start, end) ?? new Uint8Array(end - start);
  if (range === undefined) return { status: 200, headers: common, body };
  const span = { "content-range": `bytes ${start}-${end - 1}/${object.size}` };
  return { status: 206, headers: { ...common, ...span }, body };
}

/** S3 API Reference, "DeleteObject". */
export function deleteObject({ objects }: Bucket, { key }: S3Request): HttpAnswer {
  objects.delete(key);
  return { status: 204, headers: {}, body: NOTHING };
}

/** S3 API Reference, "DeleteObjects". */
export function deleteObjects(
  { objects }: Bucket,
  request: S3Request,
  { undeletable }: ServerOptions,
): HttpAnswer {
  const { body, checksum } = checkBody(request);
  if (checksum === undefined && request.headers.get("content-md5") === null) {
    throw new S3Fault(400, "InvalidRequest", "Missing required header for this request");
  }
  const xml = new TextDecoder().decode(body);
  const keys = elements(xml, "Object").map((entry) => elementText(entry, "Key") ?? "");
  if (keys.length > 1_000) throw new S3Fault(400, "MalformedXML", "more than 1000 keys");
  const errors: string[] = [];
  for (const key of keys) {
    if (!undeletable?.test(key)) {
      objects.delete(key);
      continue;
    }
    const fields = element("Key", key) + element("Code", "AccessDenied") +
      element("Message", "Access Denied");
    errors.push(`<Error>${fields}</Error>`);
  }
  return xmlAnswer(200, `<DeleteResult>${errors.join("")}</DeleteResult>`);
}

/** S3 API Reference, "ListObjectsV2", with as many keys a page as the server was told. */
export function listObjects(
  { objects }: Bucket,
  { bucket, query }: S3Request,
  { pageKeys, listOrder }: ServerOptions,
  hide: number,
): HttpAnswer {
  const prefix = query.get("prefix") ?? "";
  const after = query.get("continuation-token") ?? query.get("start-after") ?? "";
  const compare = ORDERS[listOrder];
  const newest = [...objects.values()].slice(objects.size - hide).map(({ key }) => key);
  const found = [...objects.values()]
    .filter(({ key }) => key.startsWith(prefix) && !newest.includes(key))
    .sort((a, b) => compare(a.key, b.key))
    .filter(({ key }) => after === "" || compare(key, after) > 0);
  const page = found.slice(0, Math.min(pageKeys, Number(query.get("max-keys") ?? 1_000)));
  const truncated = page.length < found.length;
  const contents = page.map((object) =>
    `<Contents>${element("Key", object.key)}${
      element("LastModified", object.modified.toISOString())
    }${element("ETag", object.etag)}${element("Size", String(object.size))}</Contents>`
  );
  const next = truncated ? element("NextContinuationToken", page.at(-1)?.key ?? "") : "";
  return xmlAnswer(
    200,
    `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${element("Name", bucket)}${
      element("Prefix", prefix)
    }${element("KeyCount", String(page.length))}${
      element("IsTruncated", String(truncated))
    }${next}${contents.join("")}</ListBucketResult>`,
  );
}

/** How servers in the wild order keys: AWS by bytes, some by the names in each folder, … */
const ORDERS: Readonly<Record<ServerOptions["listOrder"], (a: string, b: string) => number>> = {
  bytes: compareKeys,
  folders: (a, b) => {
    const [left, right] = [a.split("/"), b.split("/")];
    const at = left.findIndex((name, index) => name !== right[index]);
    if (at < 0) return left.length - right.length;
    return compareKeys(left[at] ?? "", right[at] ?? "");
  },
  backwards: (a, b) => compareKeys(b, a),
};

function parseRange(header: string | null, size: number): [number, number] | undefined {
  const match = header?.match(/^bytes=(\d*)-(\d*)$/);
  if (!match) return undefined;
  const [, first = "", last = ""] = match;
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1);
  if (start < size && start < end) return [start, end];
  throw new S3Fault(416, "InvalidRange", "The requested range is not satisfiable");
}

/** The encryption of an object, as PUT and Complete answer it. */
export function encryptionHeaders({ headers }: StoredObject): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.startsWith("x-amz-server-side-encryption")),
  );
}

function checksumHeaders({ checksum }: StoredObject): Readonly<Record<string, string>> {
  if (checksum === undefined) return {};
  return {
    [`x-amz-checksum-${checksum.algorithm}`]: checksum.value,
    "x-amz-checksum-type": checksum.type,
  };
}
