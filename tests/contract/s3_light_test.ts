import { FetchTransport } from "../../src/storage/light_fetch.ts";
import { S3LightStore } from "../../src/storage/s3_light.ts";
import { createBucket, realServers, startTlsServer, storeOn } from "../support/light_stores.ts";
import { S3Server } from "../support/s3_server/s3_server.ts";
import { objectStoreContract } from "./object_store.ts";

// Bodies are held in memory, so there is no measure of a put that is larger than that.
const NO_CONDITIONS = "rclone of PyPI takes If-None-Match and If-Match for nothing";
const DIFFERENCES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  rclone: {
    "put() with ifAbsent stores once": NO_CONDITIONS,
    "put() with ifAbsent has one winner among 16": NO_CONDITIONS,
    "put() with ifMatch replaces only the object of that etag": NO_CONDITIONS,
    "put() with ifMatch has one winner among 8": NO_CONDITIONS,
    "delete() removes what is there and passes over what is not":
      "rclone answers InternalError where a folder has the key's name",
  },
  minio: {
    "list() of a prefix that nothing has is empty":
      "MinIO refuses to list a prefix with a segment . or ..",
  },
};
const SIZES = { bigBytes: 3 * 1024 * 1024 + 17, streamedBytes: 0 };

objectStoreContract("S3LightStore on the small server", () => {
  const server = S3Server.start();
  const store = storeOn(server, { prefix: "pre/fix" });
  return Promise.resolve({
    store,
    dispose: async () => {
      await store.close();
      await server[Symbol.asyncDispose]();
    },
  });
}, SIZES);

objectStoreContract("S3LightStore over TLS", async () => {
  const folder = await Deno.makeTempDir();
  const { server, ca } = await startTlsServer(folder);
  const store = storeOn(server, { caCerts: [ca] });
  return {
    store,
    dispose: async () => {
      await store.close();
      await server[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}, SIZES);

objectStoreContract("S3LightStore by fetch", () => {
  const server = S3Server.start();
  const store = storeOn(server, { transport: (target) => new FetchTransport(target) });
  return Promise.resolve({
    store,
    dispose: async () => {
      await store.close();
      await server[Symbol.asyncDispose]();
    },
  });
}, SIZES);

for (const server of realServers()) {
  const bucket = `light-${crypto.randomUUID().slice(0, 18)}`;
  let created: Promise<void> | undefined;
  objectStoreContract(`S3LightStore on ${server.name}`, async () => {
    await (created ??= createBucket(server, bucket));
    const prefix = `test ${crypto.randomUUID()}`;
    const store = new S3LightStore({ ...server.options, bucket, prefix, deadlineMs: 20_000 });
    return { store, dispose: () => store.close() };
  }, { ...SIZES, differences: DIFFERENCES[server.name] ?? {} });
}
