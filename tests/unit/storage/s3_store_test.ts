import { deepStrictEqual as equal, match, ok, rejects } from "node:assert/strict";
import { clientConfig } from "../../../src/storage/s3_sdk.ts";
import { type S3Options, s3Settings } from "../../../src/storage/s3_options.ts";
import { StorageError } from "../../../src/domain/errors.ts";
import { probeConditionalPut } from "../../../src/storage/probe.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import { bytesOf, content, streamOf, stuckStream, text } from "../../support/bodies.ts";
import { selfSigned } from "../../support/storage/certificates.ts";
import { startS3 } from "../../support/storage/s3_rig.ts";

const BIG = content(350_001);

Deno.test("S3Store.put() of what fits in one part makes one request, else as many as there are parts", async () => {
  await using rig = startS3();
  const { server, store } = rig;
  await store.put("a", content(100_000));
  await store.put("b", streamOf(content(100_000)));
  equal(server.requests.map(({ method, key }) => `${method} ${key}`), ["PUT a", "PUT b"]);
  server.requests.length = 0;
  await store.put("c", streamOf(content(300_000)));
  const parts = server.requestsOf("PUT", "partNumber");
  equal(parts.map(({ bodyBytes }) => bodyBytes), [100_000, 100_000, 100_000]);
  equal(server.requests.length, 5);
});

Deno.test("S3Store names the checksum algorithm at Create and repeats each part's at Complete", async () => {
  await using rig = startS3(); // the server refuses a Complete without them, as versitygw does
  await rig.store.put("key", streamOf(BIG));
  const [create] = rig.server.requestsOf("POST", "uploads");
  equal(create?.headers.get("x-amz-checksum-algorithm"), "CRC32");
  for (const part of rig.server.requestsOf("PUT", "partNumber")) {
    ok(part.headers.get("x-amz-checksum-crc32"), "of each part");
    equal(part.headers.get("content-encoding"), null, "no aws-chunked");
    match(part.headers.get("x-amz-content-sha256") ?? "", /^[0-9a-f]{64}$/, "a signed payload");
  }
  equal(rig.server.bucket().objects.get("key")?.checksum?.type, "COMPOSITE");
  await rig.store.put("small", text("x"));
  equal(rig.server.bucket().objects.get("small")?.checksum?.type, "FULL_OBJECT");
});

Deno.test("S3Store sends no checksum headers when it is told so", async () => {
  await using rig = startS3({ store: { checksums: false } });
  await rig.store.put("big", streamOf(BIG));
  await rig.store.put("small", text("x"));
  const names = rig.server.requests.flatMap(({ headers }) => [...headers.keys()]);
  equal(names.filter((name) => name.startsWith("x-amz-checksum-") && !name.endsWith("mode")), []);
  equal(await bytesOf(await rig.store.get("big")), BIG);
});

Deno.test("S3Store takes no notice of aws-chunked that a store gives back", async () => {
  await using rig = startS3({ server: { keepAwsChunked: true } });
  for (const body of [content(5_000), BIG]) {
    await rig.store.put("key", streamOf(body));
    equal(await bytesOf(await rig.store.get("key")), body);
    equal((await rig.store.head("key"))?.size, body.length);
  }
});

Deno.test("S3Store asks for encryption and storage class with every object", async () => {
  const options = {
    sse: "aws:kms",
    kmsKeyId: "key-1",
    bucketKey: true,
    storageClass: "GLACIER_IR",
  };
  await using rig = startS3({ store: options as Partial<S3Options> });
  await rig.store.put("small", text("x"), { metadata: { a: "1" } });
  await rig.store.put("big", streamOf(BIG));
  for (const key of ["small", "big"]) {
    const { headers } = rig.server.bucket().objects.get(key)!;
    equal(headers["x-amz-server-side-encryption"], "aws:kms");
    equal(headers["x-amz-server-side-encryption-aws-kms-key-id"], "key-1");
    equal(headers["x-amz-server-side-encryption-bucket-key-enabled"], "true");
    equal(headers["x-amz-storage-class"], "GLACIER_IR");
  }
  await using plain = startS3({ store: { sse: "AES256" } });
  await plain.store.put("big", streamOf(BIG));
  const { headers } = plain.server.bucket().objects.get("big")!;
  equal(headers["x-amz-server-side-encryption"], "AES256");
});

Deno.test("S3Store speaks to the bucket in the name of the host", async () => {
  await using server = startS3({ server: { virtualHost: "s3.localhost" } });
  await using rig = startS3({
    store: { endpoint: `http://s3.localhost:${server.server.port}`, pathStyle: false },
  });
  await rig.store.put("a b/c+d", streamOf(BIG));
  equal(await bytesOf(await rig.store.get("a b/c+d")), BIG);
  equal((await Array.fromAsync(rig.store.list(""))).length, 1);
  await rig.store.delete(["a b/c+d"]);
  const host = `bucket.s3.localhost:${server.server.port}`;
  ok(server.server.requests.every(({ headers }) => headers.get("host") === host));
});

const styles: readonly (readonly [Partial<S3Options>, boolean])[] = [
  [{}, false],
  [{ bucket: "with.dots" }, true],
  [{ endpoint: "https://s3.example.com" }, true],
  [{ endpoint: "https://s3.eu-west-1.amazonaws.com" }, false],
  [{ endpoint: "https://oss-cn-beijing.aliyuncs.com" }, false],
  [{ endpoint: "https://s3.example.com", pathStyle: false }, false],
  [{ pathStyle: true }, true],
  [{ transferAcceleration: true }, false],
];

for (const [options, expected] of styles) {
  const name = expected ? "in the path" : "in the host";
  Deno.test(`s3Settings() puts the bucket ${name} for ${JSON.stringify(options)}`, () => {
    equal(s3Settings({ bucket: "bucket", ...options }).forcePathStyle, expected);
  });
}

Deno.test("s3Settings() knows what stores need", () => {
  const aws = s3Settings({ bucket: "b-1", prefix: "/a/b/" });
  equal([aws.keyPrefix, aws.listOrder, aws.growParts, aws.region], [
    "a/b/",
    "bytes",
    true,
    undefined,
  ]);
  const r2 = s3Settings({ bucket: "b-1", endpoint: "https://x.r2.cloudflarestorage.com" });
  equal([r2.listOrder, r2.growParts, r2.region], ["any", false, "us-east-1"]);
  equal(
    clientConfig(s3Settings({ bucket: "b-1", transferAcceleration: true })).useAccelerateEndpoint,
    true,
  );
});

Deno.test("S3Store sends the whole of a body of known length in equal parts", async () => {
  await using rig = startS3({ server: { equalParts: true }, store: { maxParts: 4 } });
  await rig.store.put("known", streamOf(content(1_234_567)), { size: 1_234_567 });
  const parts = rig.server.requestsOf("PUT", "partNumber").map(({ bodyBytes }) => bodyBytes);
  equal(parts.toSorted((a, b) => b - a), [308_642, 308_642, 308_642, 308_641]);
});

Deno.test("S3Store grows its parts to keep within the allowed number", async () => {
  await using rig = startS3({
    server: { maxPartNumber: 20 },
    store: { maxParts: 20, partBytes: 65_536 },
  });
  // Without growth 20 parts of 65,536 bytes would hold 1.3 MB.
  await rig.store.put("key", streamOf(content(6_000_000)));
  equal(await bytesOf(await rig.store.get("key")), content(6_000_000));
  await using equalParts = startS3({
    server: { maxPartNumber: 20 },
    store: { maxParts: 20, partBytes: 65_536, growParts: false },
  });
  await rejects(
    equalParts.store.put("key", streamOf(content(6_000_000))),
    (error: StorageError) => {
      match(error.message, /object key has more parts than the store allows/);
      return error instanceof StorageError;
    },
  );
  equal(equalParts.server.bucket().uploads.size, 0);
});

Deno.test("S3Store has at most four parts of an object in flight, and goes on when one is done", async () => {
  await using rig = startS3({ store: { idleSeconds: 5 } });
  rig.server.fail({ query: "partNumber", first: 4 }, { kind: "hang" });
  const { stream, drained } = stuckStream(content(2_000_000));
  const abort = new AbortController();
  const put = rig.store.put("key", stream, { signal: abort.signal });
  const settled = put.catch((error) => error);
  const state = await Promise.race([
    drained.then(() => "drained"),
    new Promise((resolve) => setTimeout(resolve, 700, "waiting")),
  ]);
  equal(state, "waiting", "the body is not read on while four parts are in flight");
  abort.abort(new Error("enough"));
  match(String(await settled), /enough/);
});

Deno.test("S3Store uses its connections again", async () => {
  const { authority, certificate, key } = await selfSigned("127.0.0.1");
  const caFile = await Deno.makeTempFile();
  await Deno.writeTextFile(caFile, authority);
  for (const tls of [undefined, { cert: certificate, key }]) {
    await using rig = startS3({ server: { tls }, store: { caFile } });
    for (let round = 0; round < 10; round++) {
      await rig.store.put("key", content(90_000));
      equal((await bytesOf(await rig.store.get("key"))).length, 90_000);
      equal((await bytesOf(await rig.store.get("key", { range: [5, 10] }))).length, 5);
      await rig.store.head("key");
      await rig.store.head("absent");
      await Array.fromAsync(rig.store.list(""));
    }
    ok(rig.server.connections <= 4, `${rig.server.connections} connections for 70 requests`);
  }
  await Deno.remove(caFile);
});

Deno.test("S3Store marks its writes without showing it", async () => {
  await using rig = startS3();
  await rig.store.put("key", text("x"), { metadata: { sha256: "ab" } });
  equal((await rig.store.head("key"))?.metadata, { sha256: "ab" });
  const stored = rig.server.bucket().objects.get("key")!.headers;
  ok(stored["x-amz-meta-backupctl-write"], "a marker");
});

Deno.test("S3Store refuses a key that is too long with its prefix", async () => {
  await using rig = startS3({ store: { prefix: "p".repeat(200) } });
  const key = `${"x".repeat(250)}/`.repeat(3) + "y".repeat(200);
  await rejects(rig.store.put(key, text("x")), /with its prefix is longer than 1024 bytes/);
});

Deno.test("S3Store says where it is, without a secret", () => {
  equal(startLocation({ prefix: "/a/b/" }), "s3://bucket/a/b");
  equal(startLocation({}), "s3://bucket");
});

Deno.test("probeConditionalPut() says why the put failed, not the removal behind it", async () => {
  await using denied = startS3();
  const error = { kind: "error", status: 403, code: "AccessDenied" } as const;
  denied.server.fail({ method: "PUT" }, error);
  denied.server.fail({ method: "POST" }, error);
  await rejects(probeConditionalPut(denied.store), /^StorageError: PutObject .* AccessDenied/);
});

Deno.test("probeConditionalPut() finds stores that ignore conditions, and cleans up", async () => {
  await using honest = startS3();
  equal(await probeConditionalPut(honest.store), {
    ifAbsent: true,
    ifMatch: true,
    removable: true,
  });
  await using careless = startS3({ server: { ignoreConditions: true } });
  equal(await probeConditionalPut(careless.store), {
    ifAbsent: false,
    ifMatch: false,
    removable: true,
  });
  await using limited = startS3();
  const missing = { kind: "error", status: 501, code: "NotImplemented" } as const;
  limited.server.fail({ method: "PUT", nth: 2 }, missing);
  equal(await probeConditionalPut(limited.store), {
    ifAbsent: false,
    ifMatch: true,
    removable: true,
  });
  for (const { server } of [honest, careless, limited]) equal(server.bucket().objects.size, 0);
  equal(await probeConditionalPut(new MemoryStore()), {
    ifAbsent: true,
    ifMatch: true,
    removable: true,
  });
});

Deno.test("the storage adapters load neither the SDK nor Node's modules until they are used", async () => {
  for (const adapter of ["s3", "directory", "memory"]) {
    const loaded = await staticImports(import.meta.resolve(`../../../src/storage/${adapter}.ts`));
    equal(loaded.filter((specifier) => !specifier.startsWith("file:")), [], adapter);
    ok(loaded.length > 2, "the graph was read");
  }
});

interface ModuleGraph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly code?: { readonly specifier?: string };
      readonly isDynamic?: boolean;
    }[];
  }[];
}

/** Everything that importing the module evaluates. */
async function staticImports(root: string): Promise<readonly string[]> {
  const output = await new Deno.Command(Deno.execPath(), { args: ["info", "--json", root] })
    .output();
  const graph: ModuleGraph = JSON.parse(new TextDecoder().decode(output.stdout));
  const found = new Set([root]);
  for (const specifier of found) {
    const module = graph.modules.find((module) => module.specifier === specifier);
    for (const { code, isDynamic } of module?.dependencies ?? []) {
      if (code?.specifier !== undefined && !isDynamic) found.add(code.specifier);
    }
  }
  return [...found];
}

function startLocation(options: Partial<S3Options>): string {
  const { bucket, keyPrefix } = s3Settings({ bucket: "bucket", ...options });
  return `s3://${bucket}${keyPrefix === "" ? "" : `/${keyPrefix.slice(0, -1)}`}`;
}

Deno.test("S3Store uses a connection again unless it was idle for long: it may just be closed", async () => {
  for (const [maxIdleMs, connections] of [[60_000, 1], [0, 3]] as const) {
    await using rig = startS3({ internals: { maxIdleMs } });
    for (const key of ["a", "b", "c"]) {
      await rig.store.put(key, text("x"));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    equal(rig.server.connections, connections);
  }
});
