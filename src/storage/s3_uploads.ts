/** Multipart uploads that nobody finished: they cost money and are seen by no listing. */
import type { ListMultipartUploadsCommandOutput } from "@aws-sdk/client-s3";
import { S3CallError, type S3Connection } from "./s3_connection.ts";

const ABORT_ATTEMPTS = 3;

/** Where a page of uploads begins. */
interface Marker {
  readonly KeyMarker?: string;
  readonly UploadIdMarker?: string;
}

/**
 * Gives up the uploads under `prefix` that were begun before `before`. (MinIO lists uploads for an
 * exact key only: there a lifecycle rule must do it.)
 *
 * @returns how many.
 */
export async function abortUploads(
  connection: S3Connection,
  { prefix, before, signal }: {
    readonly prefix: string;
    readonly before: Date;
    readonly signal: AbortSignal | undefined;
  },
): Promise<number> {
  let given = 0;
  let marker: Marker | undefined = {};
  while (marker !== undefined) {
    const page: ListMultipartUploadsCommandOutput | undefined = await listPage(connection, {
      prefix,
      marker,
      signal,
    });
    for (const { Key, UploadId, Initiated } of page?.Uploads ?? []) {
      if (Key === undefined || UploadId === undefined) continue;
      if (Initiated === undefined || Initiated >= before) continue;
      await abortUpload(connection, { Key, UploadId, signal });
      given += 1;
    }
    marker = nextMarker(page);
  }
  return given;
}

/** Gives one upload up; an upload that is gone counts as given up. */
export async function abortUpload(
  connection: S3Connection,
  { Key, UploadId, signal }: {
    readonly Key: string;
    readonly UploadId: string;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const { bucket: Bucket } = connection.settings;
  try {
    await connection.call({
      operation: "AbortMultipartUpload",
      attempts: ABORT_ATTEMPTS,
      signal,
      send: (client, sdk, http) =>
        client.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId }), http),
    });
  } catch (error) {
    if (!(error instanceof S3CallError)) throw error;
    if (error.failure.code !== "NoSuchUpload") throw error.toStorageError();
  }
}

async function listPage(
  connection: S3Connection,
  { prefix, marker, signal }: {
    readonly prefix: string;
    readonly marker: Marker;
    readonly signal: AbortSignal | undefined;
  },
): Promise<ListMultipartUploadsCommandOutput | undefined> {
  const { bucket: Bucket, keyPrefix } = connection.settings;
  try {
    return await connection.call({
      operation: "ListMultipartUploads",
      signal,
      send: (client, sdk, http) => {
        const input = { Bucket, Prefix: keyPrefix + prefix, ...marker };
        return client.send(new sdk.ListMultipartUploadsCommand(input), http);
      },
    });
  } catch (error) {
    if (!(error instanceof S3CallError)) throw error;
    if (error.failure.code === "NoSuchUpload") return undefined; // rclone's way to say: none
    throw error.toStorageError();
  }
}

function nextMarker(page: ListMultipartUploadsCommandOutput | undefined): Marker | undefined {
  if (!page?.IsTruncated || page.NextKeyMarker === undefined) return undefined;
  const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
  return { KeyMarker, ...(UploadIdMarker !== undefined && { UploadIdMarker }) };
}
