import assert from "node:assert/strict";
import { MiB } from "../../../src/domain/bytes.ts";
import {
  ConfigError,
  ObjectExistsError,
  ObjectMissingError,
  StorageError,
} from "../../../src/domain/errors.ts";
import type { S3Retry } from "../../../src/storage/s3_options.ts";
import { bytesOf, content, text } from "../../support/bodies.ts";
import { SMALL_SERVER_KEYS, startTlsServer, storeOn } from "../../support/light_stores.ts";
import type { FaultAction } from "../../support/s3_server/faults.ts";
import { S3Server } from "../../support/s3_server/s3_server.ts";

const SLOW_DOWN = { kind: "error", status: 503, code: "SlowDown" } as const;

const PASSING: readonly { readonly what: string; readonly action: FaultAction }[] = [
  { what: "503", action: SLOW_DOWN },
  { what: "500", action: { kind: "error", status: 500, code: "InternalError" } },
  { what: "429", action: { kind: "error", status: 429, code: "TooManyRequests" } },
  { what: "a proxy's 502", action: { kind: "error", status: 502, code: "", body: "<html>" } },
  { what: "409", action: { kind: "error", status: 409, code: "ConditionalRequestConflict" } },
  { what: "a damaged body", action: { kind: "error", status: 400, code: "BadDigest" } },
  { what: "an error in 200", action: { kind: "error in 200", code: "InternalError" } },
  { what: "a closed connection", action: { kind: "refused" } },
];
for (const { what, action } of PASSING) {
  Deno.test(`put() tries again after ${what}`, async () => {
    await using server = S3Server.start();
    const retries: S3Retry[] = [];
    const store = storeOn(server, { onRetry: (retry) => retries.push(retry) });
    server.fail({ method: "PUT", first: 2 }, action);
    await store.put("key", content(MiB), { ifAbsent: true, metadata: { sha256: "f00" } });
    assert.deepEqual(await bytesOf(await store.get("key")), content(MiB));
    assert.equal(retries.length, 2);
    assert.equal((await store.head("key"))?.metadata?.["sha256"], "f00");
    await store.close();
  });
}

Deno.test("put() asks for encryption and storage class with every object", async () => {
  await using server = S3Server.start();
  const kms = { sse: "aws:kms", kmsKeyId: "key-1", bucketKey: true } as const;
  const store = storeOn(server, { ...kms, storageClass: "STANDARD_IA" });
  await store.put("key", text("x"), { ifAbsent: true });
  const { headers } = server.bucket().objects.get("key")!;
  assert.equal(headers["x-amz-server-side-encryption"], "aws:kms");
  assert.equal(headers["x-amz-server-side-encryption-aws-kms-key-id"], "key-1");
  assert.equal(headers["x-amz-server-side-encryption-bucket-key-enabled"], "true");
  assert.equal(headers["x-amz-storage-class"], "STANDARD_IA");
  await store.close();
});

Deno.test("put() without an etag in the answer is not taken for stored", async () => {
  await using server = S3Server.start();
  const store = storeOn(server);
  server.fail({ method: "PUT", first: 1 }, { kind: "no etag" });
  await assert.rejects(store.put("key", text("x"), { ifAbsent: true }), ObjectExistsError);
  await store.put("other", text("x"));
  await store.close();
});

Deno.test("put() whose answer was lost says that the key is taken, without sending it again", async () => {
  await using server = S3Server.start();
  const store = storeOn(server);
  server.fail({ method: "PUT", first: 1 }, { kind: "lost answer" });
  await assert.rejects(store.put("key", content(MiB), { ifAbsent: true }), ObjectExistsError);
  assert.equal(server.requestsOf("PUT").length, 1);
  await store.close();
});

Deno.test("put() does not take an answer with an error in it for success, whatever its head says", async () => {
  await using server = S3Server.start();
  const store = storeOn(server);
  const body = "<?xml version='1.0'?><Error><Code>InternalError</Code></Error>";
  server.fail({ method: "PUT", first: 1 }, { kind: "body", body });
  await assert.rejects(store.put("key", text("x"), { ifAbsent: true }), ObjectExistsError);
  await store.close();
});

Deno.test("an attempt that hears nothing is given up and made again", async () => {
  await using server = S3Server.start();
  const store = storeOn(server, { idleSeconds: 0.3 });
  server.fail({ method: "PUT", first: 1 }, { kind: "hang" });
  await store.put("key", text("x"));
  assert.equal((await store.head("key"))?.size, 1);
  await store.close();
});

Deno.test("put() waits as long as the store asks", async () => {
  await using server = S3Server.start();
  const retries: S3Retry[] = [];
  const store = storeOn(server, { onRetry: (retry) => retries.push(retry) });
  server.fail({ method: "PUT", first: 1 }, { ...SLOW_DOWN, headers: { "retry-after": "1" } });
  await store.put("key", text("x"));
  assert.ok(retries[0]!.delaySeconds >= 1);
  await store.close();
});

for (const kind of ["hang", "drip"] as const) {
  Deno.test(`put() and get() give up in time when the store answers nothing (${kind})`, async () => {
    await using server = S3Server.start();
    const store = storeOn(server, { deadlineMs: 1_000, idleSeconds: 0.4 });
    await store.put("key", content(MiB));
    server.fail({}, kind === "hang" ? { kind } : { kind, bytesPerSecond: 1 });
    const start = performance.now();
    if (kind === "hang") await assert.rejects(store.put("other", content(MiB)), StorageError);
    await assert.rejects(async () => await bytesOf(await store.get("key")), StorageError);
    assert.ok(performance.now() - start < 20_000, `${performance.now() - start} ms`);
    await store.close();
  });
}

for (const when of ["in a pause", "while they wait for an answer"]) {
  Deno.test(`calls end with the signal's reason ${when}`, async () => {
    await using server = S3Server.start();
    const reason = new Error("stopped by the test");
    const controller = new AbortController();
    // Far behind the signal: pauses are random, and a call whose pause would outlast it ends at once.
    const store = storeOn(server, { deadlineMs: 60_000, onRetry: () => controller.abort(reason) });
    server.fail({}, when === "in a pause" ? SLOW_DOWN : { kind: "hang" });
    const put = store.put("key", text("x"), { signal: controller.signal });
    if (when !== "in a pause") setTimeout(() => controller.abort(reason), 100);
    await assert.rejects(put, reason);
    await store.close();
  });
}

Deno.test("a store that is not there is told with its address", async () => {
  const server = S3Server.start();
  const store = storeOn(server, { deadlineMs: 300 });
  await server[Symbol.asyncDispose]();
  await assert.rejects(store.get("key"), (error: Error) => {
    assert.ok(error instanceof StorageError && !(error instanceof ObjectMissingError));
    return /127\.0\.0\.1/.test(error.message);
  });
  await store.close();
});

const NOT_ABSENT: readonly { readonly what: string; readonly action: FaultAction }[] = [
  { what: "a bucket that is gone", action: { kind: "error", status: 404, code: "NoSuchBucket" } },
  {
    what: "a proxy's page",
    action: { kind: "error", status: 404, code: "", body: "<html>Not found" },
  },
  { what: "a refusal", action: { kind: "error", status: 403, code: "AccessDenied" } },
];
for (const { what, action } of NOT_ABSENT) {
  Deno.test(`get() and head() do not take ${what} for an absent object`, async () => {
    await using server = S3Server.start();
    const store = storeOn(server, { deadlineMs: 2_000 });
    server.fail({}, action);
    for (const call of [() => store.get("key"), () => store.head("key")]) {
      await assert.rejects(
        call,
        (error) => error instanceof StorageError && !(error instanceof ObjectMissingError),
      );
    }
    await store.close();
  });
}

Deno.test("a redirect is not followed, and names the region", async () => {
  await using server = S3Server.start();
  await using trap = S3Server.start();
  const store = storeOn(server);
  server.fail({}, {
    ...{ kind: "error", status: 307, code: "TemporaryRedirect" },
    headers: { location: `${trap.endpoint}/bucket/key`, "x-amz-bucket-region": "eu-west-3" },
  });
  await assert.rejects(
    store.put("key", text("x")),
    (error: Error) => error instanceof StorageError && /eu-west-3/.test(error.hint ?? ""),
  );
  assert.equal(trap.requests.length, 0);
  await store.close();
});

Deno.test("a body that breaks off errors the stream", async () => {
  await using server = S3Server.start();
  const store = storeOn(server);
  await store.put("key", content(MiB));
  for (const action of [{ kind: "truncate", bytes: 70_000 }, { kind: "close after headers" }]) {
    server.fail({ method: "GET" }, action as FaultAction);
    await assert.rejects(async () => await bytesOf(await store.get("key")), StorageError);
    server.heal();
  }
  await store.close();
});

Deno.test("credentials are renewed once when they have expired", async () => {
  await using server = S3Server.start();
  const renewals: boolean[] = [];
  const findCredentials = (renew: boolean) => {
    renewals.push(renew);
    return Promise.resolve(SMALL_SERVER_KEYS);
  };
  const store = storeOn(server, { credentials: undefined!, findCredentials });
  server.fail({ first: 1 }, { kind: "error", status: 400, code: "ExpiredToken" });
  await store.put("key", text("x"));
  assert.deepEqual(renewals, [false, true]);
  server.fail({}, { kind: "error", status: 400, code: "ExpiredToken" });
  await assert.rejects(store.put("key", text("x")), StorageError);
  await store.close();
});

Deno.test("a clock that is an hour off is corrected by the store's", async () => {
  await using server = S3Server.start({ clockSkew: 3_600_000 });
  const store = storeOn(server);
  await store.put("key", text("x"));
  assert.equal((await store.head("key"))?.size, 1);
  await store.close();
});

Deno.test("wrong keys are refused without their secret in the message", async () => {
  await using server = S3Server.start();
  const credentials = { accessKeyId: "testkey", secretAccessKey: "canary-secret-1234" };
  const store = storeOn(server, { credentials });
  await assert.rejects(store.put("key", text("x")), (error: Error) => {
    assert.ok(error instanceof StorageError);
    return !Deno.inspect(error).includes("canary-secret");
  });
  await store.close();
});

Deno.test("a certificate that nobody vouches for is refused at once", async () => {
  const folder = await Deno.makeTempDir();
  const { server } = await startTlsServer(folder);
  const store = storeOn(server);
  const start = performance.now();
  await assert.rejects(
    store.put("key", text("x")),
    (error: Error) => error instanceof StorageError && /certificate/.test(error.message),
  );
  assert.ok(performance.now() - start < 20_000);
  await store.close();
  await server[Symbol.asyncDispose]();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("clear text to another machine is refused before anything is sent", () => {
  const server = { endpoint: "http://s3.example.com" } as S3Server;
  assert.throws(() => storeOn(server), ConfigError);
});

Deno.test("the bucket stands in the host's name where the path style is not asked for", async () => {
  await using server = S3Server.start({ virtualHost: "localhost" });
  const endpoint = `http://localhost:${server.port}`;
  const store = storeOn(server, { endpoint, pathStyle: false });
  await store.put("key", text("x"));
  assert.equal((await store.head("key"))?.size, 1);
  await store.close();
});

Deno.test("put() hears a 412 that comes before its body is read, even with a reset", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const heads: string[] = [];
  const serving = (async () => {
    for await (const connection of listener) {
      const buffer = new Uint8Array(4096);
      const length = await connection.read(buffer) ?? 0;
      heads.push(new TextDecoder().decode(buffer.subarray(0, length)).split("\r\n")[0]!);
      const put = heads.at(-1)!.startsWith("PUT");
      const answer = put ? "412 Precondition Failed" : '200 OK\r\nETag: "x"';
      const write = connection.write(text(`HTTP/1.1 ${answer}\r\nContent-Length: 0\r\n\r\n`));
      await write.catch(() => {});
      connection.close(); // with most of the body unread: the kernel resets the connection
    }
  })();
  const { port } = listener.addr as Deno.NetAddr;
  const store = storeOn({ endpoint: `http://127.0.0.1:${port}` } as S3Server);
  await assert.rejects(store.put("key", content(24 * MiB), { ifAbsent: true }), ObjectExistsError);
  assert.equal(heads.filter((head) => head.startsWith("PUT")).length, 1);
  await store.close();
  listener.close();
  await serving;
});

Deno.test("the first request takes the connection that is being opened ahead", async () => {
  await using server = S3Server.start();
  const store = storeOn(server);
  const warming = store.warm();
  await store.put("key", text("x"), { ifAbsent: true });
  await warming;
  await store.head("key");
  assert.equal(server.connections, 1);
  await store.close();
});

Deno.test("a connection opened ahead waits for the first request", async () => {
  await using server = S3Server.start();
  const store = storeOn(server);
  await store.warm();
  await store.put("key", text("x"), { ifAbsent: true });
  assert.equal(server.connections, 1);
  await store.close();
});
