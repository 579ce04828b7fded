/**
 * Encryption by the store itself: what both adapters of S3 ask for is what a real server says that
 * it did, by every way in which an object can be written.
 */
import { deepStrictEqual as equal, match, ok, rejects } from "node:assert/strict";
import { MiB } from "../../src/domain/bytes.ts";
import { ObjectExistsError, StorageError } from "../../src/domain/errors.ts";
import { S3Store } from "../../src/storage/s3.ts";
import { S3LightStore } from "../../src/storage/s3_light.ts";
import type { S3Options } from "../../src/storage/s3_options.ts";
import type { ObjectStore } from "../../src/storage/storage.ts";
import { bytesOf, content, streamOf, text } from "../support/bodies.ts";
import { createBucket } from "../support/light_stores.ts";
import {
  type EncryptingServer,
  encryptingServers,
  isOnDisk,
  storedForm,
} from "../support/storage/encrypting_servers.ts";

type Encryption = Pick<S3Options, "sse" | "kmsKeyId" | "bucketKey">;

/** What is set, and what the server must say of every object then. */
const SETTINGS: Readonly<
  Record<string, (key: string) => { readonly set: Encryption; readonly said: object }>
> = {
  "no encryption": () => ({ set: {}, said: { sse: undefined, kmsKey: undefined } }),
  "SSE-S3": () => ({ set: { sse: "AES256" }, said: { sse: "AES256", kmsKey: undefined } }),
  "SSE-KMS": (key) => ({ set: { sse: "aws:kms" }, said: { sse: "aws:kms", kmsKey: key } }),
  "SSE-KMS with a key": (key) => ({
    set: { sse: "aws:kms", kmsKeyId: key },
    said: { sse: "aws:kms", kmsKey: key },
  }),
  // No server of the tests says whether it keeps a bucket key: it must take the setting.
  "SSE-KMS with a bucket key": (key) => ({
    set: { sse: "aws:kms", kmsKeyId: key, bucketKey: true },
    said: { sse: "aws:kms", kmsKey: key },
  }),
};

const ADAPTERS = {
  S3Store: (server: EncryptingServer, options: Encryption & { readonly bucket: string }) =>
    new S3Store({ ...server.options, ...options, prefix: "p", partBytes: 5 * MiB }),
  S3LightStore: (server: EncryptingServer, options: Encryption & { readonly bucket: string }) =>
    new S3LightStore({ ...server.options, ...options, prefix: "p", deadlineMs: 20_000 }),
} as const;

/** Writes by every way there is, and tells what is there then. */
async function writeAll(store: ObjectStore): Promise<ReadonlyMap<string, Uint8Array>> {
  const big = content(11 * MiB + 1);
  const bodies = { bytes: text("hello"), stream: text("a stream"), big, once: text("once") };
  await store.put("bytes", bodies.bytes);
  await store.put("stream", streamOf(bodies.stream));
  await store.put("big", streamOf(big));
  await store.put("once", bodies.once, { ifAbsent: true, metadata: { owner: "first" } });
  await rejects(store.put("once", text("late"), { ifAbsent: true }), ObjectExistsError);
  await store.put("big once", streamOf(big), { ifAbsent: true });
  await rejects(store.put("big once", streamOf(big), { ifAbsent: true }), ObjectExistsError);
  const { etag } = await store.put("replaced", text("old"));
  await store.put("replaced", text("new"), { ifMatch: etag! });
  await rejects(store.put("replaced", text("late"), { ifMatch: etag! }), ObjectExistsError);
  return new Map<string, Uint8Array>([
    ...Object.entries(bodies),
    ...[["big once", big], ["replaced", text("new")]] as const,
  ]);
}

const servers = encryptingServers();
for (const [adapter, open] of Object.entries(ADAPTERS)) {
  for (const [title, setting] of Object.entries(SETTINGS)) {
    Deno.test({
      name: `${adapter} with ${title}: the server says so of every object`,
      ignore: servers.length === 0,
      fn: async () => {
        for (const server of servers) {
          const bucket = `sse-${crypto.randomUUID()}`;
          await createBucket(server, bucket);
          const { set, said } = setting(server.kmsKey);
          const store = open(server, { ...set, bucket });
          try {
            const written = await writeAll(store);
            for (const [key, bytes] of written) {
              const form = await storedForm(server, { bucket, key: `p/${key}` });
              equal(form, { size: bytes.length, ...said }, key);
              const read = await bytesOf(await store.get(key));
              ok(bytes.length === read.length && Buffer.compare(read, bytes) === 0, key);
              equal((await store.head(key))?.size, bytes.length, key);
            }
            const range = await bytesOf(await store.get("big", { range: [MiB - 3, 6 * MiB + 5] }));
            ok(Buffer.compare(range, written.get("big")!.subarray(MiB - 3, 6 * MiB + 5)) === 0);
            const listed = await Array.fromAsync(store.list(""));
            equal(
              listed.map(({ size }) => size),
              listed.map(({ key }) => written.get(key)!.length),
            );
            await store.delete([...written.keys()]);
          } finally {
            await store.close?.();
          }
        }
      },
    });
  }

  for (const [title, setting] of Object.entries(SETTINGS)) {
    const isClear = title === "no encryption";
    Deno.test({
      name: `${adapter} with ${title}: the disk of the store ${isClear ? "holds" : "hides"} it`,
      ignore: servers.length === 0,
      fn: async () => {
        for (const server of servers) {
          if (server.dataFolder === undefined) {
            console.warn(`${server.name}: its disk is not looked at, data=FOLDER names none`);
            continue;
          }
          const bucket = `sse-${crypto.randomUUID()}`;
          await createBucket(server, bucket);
          const store = open(server, { ...setting(server.kmsKey).set, bucket });
          const canary = `canary-${crypto.randomUUID()}`;
          await store.put("small", text(canary));
          await store.put("large", text(canary.padEnd(MiB, ".")));
          const folder = `${server.dataFolder}/${bucket}`;
          equal(await isOnDisk(folder, canary), isClear);
          await store.close?.();
        }
      },
    });
  }

  Deno.test({
    name: `${adapter} stores nothing under a KMS key that the server does not know`,
    ignore: servers.length === 0,
    fn: async () => {
      for (const server of servers) {
        const bucket = `sse-${crypto.randomUUID()}`;
        await createBucket(server, bucket);
        const store = open(server, { sse: "aws:kms", kmsKeyId: "no-such-key", bucket });
        try {
          for (const body of [() => text("x"), () => streamOf(content(6 * MiB))]) {
            await rejects(store.put("key", body()), (error: StorageError) => {
              ok(error instanceof StorageError);
              match(`${error.message}\n${error.hint}`, /no-such-key/);
              return true;
            });
          }
          equal(await store.head("key"), undefined);
        } finally {
          await store.close?.();
        }
      }
    },
  });
}
