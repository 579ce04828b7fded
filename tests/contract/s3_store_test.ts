/**
 * S3Store over the small server of the tests, and over the real servers named in
 * BACKUPCTL_TEST_S3_ENDPOINT: URLs separated by blanks or commas, each
 *
 *     http(s)://ACCESS_KEY:SECRET_KEY@HOST:PORT[/BUCKET][?name=NAME&region=REGION&ca=FILE]
 *
 * BUCKET (default `backupctl-test`) is created when it is missing. NAME (default: HOST:PORT)
 * chooses the permitted differences in s3_differences.ts, FILE is a PEM with the CA to trust.
 */
import { MiB } from "../../src/domain/bytes.ts";
import { S3Store } from "../../src/storage/s3.ts";
import type { S3Options } from "../../src/storage/s3.ts";
import { S3Server } from "../support/s3_server/s3_server.ts";
import { selfSigned } from "../support/storage/certificates.ts";
import { objectStoreContract, type OpenedStore } from "./object_store.ts";
import { S3_DIFFERENCES } from "./s3_differences.ts";

const SERVER = new URL("../support/s3_server/server_process.ts", import.meta.url).pathname;

for (const listOrder of ["bytes", "any"] as const) {
  objectStoreContract(`S3Store (list_order ${listOrder}) on the small server`, async () => {
    const server = S3Server.start({
      listOrder: listOrder === "bytes" ? "bytes" : "folders",
      pageKeys: 100,
    });
    const store = new S3Store({
      bucket: "bucket",
      prefix: "a prefix/with folders",
      endpoint: server.endpoint,
      credentials: server.options.credentials,
      partBytes: 100_000,
      listOrder,
    });
    return await Promise.resolve({
      store,
      dispose: async () => {
        await store.close();
        await server[Symbol.asyncDispose]();
      },
    });
  }, {
    bigBytes: 350_001,
    streamedBytes: 0,
    ...(listOrder === "any" && { only: /list/ }),
  });
}

for (const scheme of ["http", "https"]) {
  objectStoreContract(`S3Store on the small server in its own process, ${scheme}`, async () => {
    const { authority, certificate, key } = await selfSigned("127.0.0.1");
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "-A", SERVER, ...(scheme === "https" ? [certificate, key] : [])],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const endpoint = (await reader.read()).value?.trim() ?? "";
    const credentials = { accessKeyId: "testkey", secretAccessKey: "testsecretkey123" };
    const caFile = await Deno.makeTempFile();
    await Deno.writeTextFile(caFile, authority);
    const store = new S3Store({ bucket: "bucket", endpoint, credentials, caFile });
    return {
      store,
      dispose: async () => {
        await Deno.remove(caFile);
        await store.close();
        await process.stdin.close();
        await reader.cancel();
        await process.status;
      },
    };
  }, { bigBytes: 0, streamedBytes: 384 * MiB, only: /memory/ });
}

const endpoints = (Deno.env.get("BACKUPCTL_TEST_S3_ENDPOINT") ?? "").split(/[\s,]+/)
  .filter((url) => url !== "");
if (endpoints.length === 0) {
  console.warn("ONLY THE SMALL S3 SERVER IS USED: BACKUPCTL_TEST_S3_ENDPOINT names no real ones");
}
for (const endpoint of endpoints) {
  const { name, options } = parseServer(endpoint);
  objectStoreContract(`S3Store on ${name}`, () => openReal(options), {
    bigBytes: 11 * MiB + 1,
    streamedBytes: 256 * MiB,
    ...(S3_DIFFERENCES[name] && { differences: S3_DIFFERENCES[name] }),
  });
}

function parseServer(text: string): { readonly name: string; readonly options: S3Options } {
  const url = new URL(text);
  const caFile = url.searchParams.get("ca");
  return {
    name: url.searchParams.get("name") ?? url.host,
    options: {
      endpoint: url.origin,
      bucket: url.pathname.replaceAll("/", "") || "backupctl-test",
      region: url.searchParams.get("region") ?? "us-east-1",
      credentials: {
        accessKeyId: decodeURIComponent(url.username),
        secretAccessKey: decodeURIComponent(url.password),
      },
      allowHttp: true,
      partBytes: 5 * MiB,
      ...(caFile !== null && { caFile }),
    },
  };
}

/** A store under a prefix of its own in the server's bucket. */
async function openReal(options: S3Options): Promise<OpenedStore> {
  await createBucket(options);
  const store = new S3Store({ ...options, prefix: `test ${crypto.randomUUID()}` });
  return {
    store,
    dispose: async () => {
      const left = await Array.fromAsync(store.list(""));
      await store.delete(left.map(({ key }) => key));
      await store.abortUploads("", { before: new Date(Date.now() + 3_600_000) });
      await store.close();
    },
  };
}

async function createBucket({ bucket: Bucket, ...options }: S3Options): Promise<void> {
  const { S3Client, CreateBucketCommand, HeadBucketCommand } = await import("@aws-sdk/client-s3");
  const { SocketHandler } = await import("../../src/storage/s3_http_handler.ts");
  const { caFile } = options;
  const client = new S3Client({
    endpoint: options.endpoint!,
    region: options.region!,
    credentials: options.credentials!,
    forcePathStyle: true,
    requestHandler: new SocketHandler({
      caCerts: caFile === undefined ? [] : [await Deno.readTextFile(caFile)],
      ...{ connectMs: 10_000, idleMs: 60_000 },
    }),
  });
  try {
    await client.send(new HeadBucketCommand({ Bucket }))
      .catch(() => client.send(new CreateBucketCommand({ Bucket })));
  } finally {
    client.destroy();
  }
}
