import { GiB } from "../domain/bytes.ts";
import { S3CallError, type S3Connection } from "./s3_connection.ts";
import { deleteObjects } from "./s3_delete.ts";
import { S3Write } from "./s3_write.ts";
import type { CopyOptions, ObjectInfo } from "./storage.ts";

/** S3 API Reference, "CopyObject": larger ones need a copy in parts. */
const MAX_COPY_BYTES = 5 * GiB;

/**
 * Has the store copy an object that still has the etag of the write that is known. A store that
 * counts the SHA-256 of the copy has it compared as well.
 *
 * @returns undefined when it is another one by now, gone, or larger than a copy may be.
 * @throws {StorageError} when the store refuses.
 */
export async function copyObject(
  connection: S3Connection,
  { from, to, size, sha256, etag, signal }: CopyOptions & {
    readonly from: string;
    readonly to: string;
    readonly etag: string;
  },
): Promise<ObjectInfo | undefined> {
  if (size > MAX_COPY_BYTES) return undefined;
  const write = new S3Write(connection, { key: to, options: { ...(signal && { signal }) } });
  const { bucket, keyPrefix, checksums } = connection.settings;
  try {
    const { CopyObjectResult: copied } = await connection.call({
      operation: "CopyObject",
      key: to,
      bodyBytes: size, // the store needs its time, too
      signal,
      send: (client, sdk, http) =>
        client.send(
          new sdk.CopyObjectCommand({
            ...write.headers,
            CopySource: encodePath(`${bucket}/${keyPrefix}${from}`),
            CopySourceIfMatch: etag,
            MetadataDirective: "REPLACE",
            ...(checksums && { ChecksumAlgorithm: "SHA256" }),
          }),
          http,
        ),
    });
    if (isOther(copied?.ChecksumSHA256, sha256)) {
      await deleteObjects(connection, { keys: [to], signal, guard: undefined });
      return undefined;
    }
    return await write.describe(size, copied?.ETag);
  } catch (error) {
    if (!(error instanceof S3CallError)) throw error;
    const { isConditionFailure, code } = error.failure;
    if (isConditionFailure || code === "NoSuchKey") return undefined;
    throw error.toStorageError();
  }
}

/** Whether the store counted a SHA-256 of the whole object, and it is not this one. */
function isOther(checksum: string | undefined, sha256: string): boolean {
  if (checksum === undefined || checksum.includes("-")) return false;
  return Buffer.from(checksum, "base64").toString("hex") !== sha256;
}

function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
