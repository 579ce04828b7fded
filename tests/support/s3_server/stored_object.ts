/** What the server keeps. */
import { createHash } from "node:crypto";
import type { Bytes } from "../../../src/domain/bytes.ts";
import type { Checksum } from "./checksums.ts";

/** One object. */
export interface StoredObject {
  readonly key: string;
  /** Undefined when the server was told to keep lengths only. */
  readonly bytes: Bytes | undefined;
  readonly size: number;
  readonly etag: string;
  readonly modified: Date;
  /** Headers of the PUT that GET and HEAD give back. */
  readonly headers: Readonly<Record<string, string>>;
  readonly checksum: (Checksum & { readonly type: "FULL_OBJECT" | "COMPOSITE" }) | undefined;
}

/** One part of an upload. */
export interface StoredPart {
  readonly bytes: Bytes | undefined;
  readonly size: number;
  readonly etag: string;
  readonly checksum: Checksum | undefined;
}

/** A multipart upload that is neither completed nor aborted. */
export interface Upload {
  readonly id: string;
  readonly key: string;
  readonly initiated: Date;
  readonly headers: Readonly<Record<string, string>>;
  /** Lower case; undefined when Create named none. */
  readonly algorithm: string | undefined;
  readonly parts: Map<number, StoredPart>;
}

/** A bucket's content. */
export interface Bucket {
  readonly objects: Map<string, StoredObject>;
  readonly uploads: Map<string, Upload>;
}

/** Headers of a PUT or Create that belong to the object. */
export function keptHeaders(
  headers: Headers,
  { keepAwsChunked }: { readonly keepAwsChunked: boolean },
): Readonly<Record<string, string>> {
  const kept: Record<string, string> = {};
  const names = /^(x-amz-meta-.*|x-amz-server-side-encryption.*|x-amz-storage-class|content-type)$/;
  for (const [name, value] of headers) if (names.test(name)) kept[name] = value;
  const encodings = (headers.get("content-encoding") ?? "").split(",").map((name) => name.trim());
  const encoding = encodings.filter((name) => name !== "" && name !== "aws-chunked");
  // Some servers give back what belonged to the transfer, and some even when nobody sent it.
  if (keepAwsChunked) encoding.push("aws-chunked");
  return encoding.length === 0 ? kept : { ...kept, "content-encoding": encoding.join(",") };
}

/** The ETag of an object that was put whole. */
export function etagOf(bytes: Bytes): string {
  return `"${createHash("md5").update(bytes).digest("hex")}"`;
}

/** The ETag of an object of parts: the MD5 of their MD5s. */
export function multipartEtag(parts: readonly StoredPart[]): string {
  const sums = parts.map(({ etag }) => Buffer.from(etag.replaceAll('"', ""), "hex"));
  return `"${createHash("md5").update(Buffer.concat(sums)).digest("hex")}-${parts.length}"`;
}
