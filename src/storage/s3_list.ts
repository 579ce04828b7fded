import type { ListObjectsV2CommandOutput } from "@aws-sdk/client-s3";
import { StorageError } from "../domain/errors.ts";
import { compareKeys, isKey } from "./object_key.ts";
import type { S3Connection } from "./s3_connection.ts";
import { quotedEtag } from "./s3_write.ts";
import type { ObjectInfo } from "./storage.ts";

interface ListRequest {
  readonly prefix: string;
  readonly startAfter: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * The objects in the order of their keys' bytes. AWS lists in that order, and the pages stream.
 * Other servers may list by folders or by the characters of some language (SeaweedFS, S3 Express,
 * s3s), and then also understand StartAfter in their order: there everything is collected first.
 */
export async function* listObjects(
  connection: S3Connection,
  request: ListRequest,
): AsyncGenerator<ObjectInfo> {
  if (connection.settings.listOrder === "any") {
    return yield* collectAndSort(connection, request);
  }
  let last: string | undefined;
  for await (const info of pages(connection, request)) {
    if (last !== undefined && compareKeys(info.key, last) <= 0) throw disorder(info.key, last);
    last = info.key;
    if (isKey(info.key)) yield info;
  }
}

async function* collectAndSort(
  connection: S3Connection,
  { prefix, startAfter, signal }: ListRequest,
): AsyncGenerator<ObjectInfo> {
  const found = new Map<string, ObjectInfo>();
  for await (const info of pages(connection, { prefix, startAfter: undefined, signal })) {
    if (startAfter !== undefined && compareKeys(info.key, startAfter) <= 0) continue;
    if (isKey(info.key)) found.set(info.key, info); // a page may repeat what moved meanwhile
  }
  for (const key of [...found.keys()].sort(compareKeys)) yield found.get(key)!;
}

async function* pages(
  connection: S3Connection,
  { prefix, startAfter, signal }: ListRequest,
): AsyncGenerator<ObjectInfo> {
  const { bucket, keyPrefix } = connection.settings;
  let token: string | undefined;
  do {
    const page: ListObjectsV2CommandOutput = await connection.callOrThrow({
      operation: "ListObjectsV2",
      signal,
      send: (client, sdk, http) =>
        client.send(
          new sdk.ListObjectsV2Command({
            Bucket: bucket,
            Prefix: keyPrefix + prefix,
            ...(startAfter !== undefined && { StartAfter: keyPrefix + startAfter }),
            ...(token !== undefined && { ContinuationToken: token }),
          }),
          http,
        ),
    });
    yield* describe(page, keyPrefix);
    const next = page.IsTruncated ? page.NextContinuationToken : undefined;
    if (page.IsTruncated && (next === undefined || next === token)) throw endless(bucket);
    token = next;
  } while (token !== undefined);
}

function* describe(page: ListObjectsV2CommandOutput, keyPrefix: string): Generator<ObjectInfo> {
  for (const { Key = "", Size = 0, ETag, LastModified } of page.Contents ?? []) {
    if (!Key.startsWith(keyPrefix)) continue;
    yield {
      key: Key.slice(keyPrefix.length),
      size: Size,
      ...quotedEtag(ETag),
      ...(LastModified !== undefined && { lastModified: LastModified }),
    };
  }
}

function disorder(key: string, last: string): StorageError {
  return new StorageError(
    `the store lists ${key} behind ${last}, which is not the order of the keys' bytes`,
    "set repository.list_order to any",
  );
}

function endless(bucket: string): StorageError {
  return new StorageError(
    `the listing of bucket ${bucket} says that there is more, but not where`,
    "is there a proxy in front of the store?",
  );
}
