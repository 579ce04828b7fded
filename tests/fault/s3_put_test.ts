/** What becomes of writes when S3, the network or a proxy fails. */
import { deepStrictEqual as equal, match, ok, rejects } from "node:assert/strict";
import { ObjectExistsError, StorageError } from "../../src/domain/errors.ts";
import type { PutOptions } from "../../src/storage/storage.ts";
import { bytesOf, content, streamOf, stuckStream, text } from "../support/bodies.ts";
import type { FaultAction, FaultMatch } from "../support/s3_server/faults.ts";
import { type S3Rig, startS3 } from "../support/storage/s3_rig.ts";

const SMALL = content(5_000);
const BIG = content(350_001);
const SLOW_DOWN: FaultAction = { kind: "error", status: 503, code: "SlowDown" };
const INTERNAL: FaultAction = { kind: "error", status: 500, code: "InternalError" };
const DENIED: FaultAction = { kind: "error", status: 403, code: "AccessDenied" };
const HTML: FaultAction = {
  kind: "error",
  status: 502,
  code: "BadGateway",
  body: "<html><body><h1>502 Bad Gateway</h1></body></html>",
};

/** The object is stored once, whole, and no upload is left. */
async function expectStored({ server, store }: S3Rig, expected: Uint8Array): Promise<void> {
  ok(Buffer.compare(await bytesOf(await store.get("key")), expected) === 0, "content");
  equal(server.bucket().uploads.size, 0, "uploads left");
}

const passing: readonly (readonly [string, FaultAction])[] = [
  ["503 SlowDown", SLOW_DOWN],
  ["500 InternalError", INTERNAL],
  ["a proxy's 502 page", HTML],
  ["429", { kind: "error", status: 429, code: "TooManyRequests" }],
  ["400 RequestTimeout", { kind: "error", status: 400, code: "RequestTimeout" }],
  ["400 BadDigest", { kind: "error", status: 400, code: "BadDigest" }],
  ["a closed connection", { kind: "refused" }],
  ["a lost answer", { kind: "lost answer" }],
  ["a request that arrives twice", { kind: "twice" }],
  ["silence", { kind: "hang" }],
];

const puts: readonly (readonly [string, PutOptions])[] = [
  ["put()", {}],
  ["put() with ifAbsent", { ifAbsent: true }],
];

for (const [name, action] of passing) {
  for (const [call, options] of puts) {
    Deno.test(`S3Store.${call} of a small object outlives ${name}`, async () => {
      await using rig = startS3({ store: { idleSeconds: 0.3 } });
      await rig.store.head("contact");
      rig.server.fail({ method: "PUT", first: 2 }, action);
      await rig.store.put("key", SMALL, options);
      await expectStored(rig, SMALL);
    });
  }

  for (const query of ["uploads", "partNumber", "uploadId"]) {
    const step = { uploads: "Create", partNumber: "parts", uploadId: "Complete" }[query];
    Deno.test(`S3Store.put() with ifAbsent of a big object outlives ${name} at ${step}`, async () => {
      await using rig = startS3({ store: { idleSeconds: 0.3 } });
      const method = query === "partNumber" ? "PUT" : "POST";
      await rig.store.head("contact");
      rig.server.fail({ method, query, first: 2 }, action);
      await rig.store.put("key", streamOf(BIG), { ifAbsent: true });
      ok(Buffer.compare(await bytesOf(await rig.store.get("key")), BIG) === 0);
      // An upload whose Create was carried out without an answer is for abortUploads.
      const before = new Date(Date.now() + 60_000);
      const left = await rig.store.abortUploads("", { before });
      ok(query === "uploads" ? left <= 3 : left === 0, `${left} uploads left`);
      equal(rig.server.bucket().uploads.size, 0);
    });
  }
}

const completions: readonly (readonly [string, FaultAction])[] = [
  ["200 with <Error>", { kind: "error in 200", code: "InternalError" }],
  ["blanks that keep the connection alive", { kind: "keep alive" }],
  ["an empty answer", { kind: "body", body: "" }],
  ["half an answer", { kind: "body", body: "<?xml version='1.0'?><CompleteMultipartUpl" }],
  ["an answer without ETag", { kind: "no etag" }],
  ["409 ConditionalRequestConflict", {
    kind: "error",
    status: 409,
    code: "ConditionalRequestConflict",
  }],
];

for (const [name, action] of completions) {
  Deno.test(`S3Store.put() takes ${name} at Complete for what it is`, async () => {
    await using rig = startS3();
    rig.server.fail({ method: "POST", query: "uploadId", first: 1 }, action);
    const info = await rig.store.put("key", BIG, { ifAbsent: true });
    equal(info.etag, (await rig.store.head("key"))?.etag);
    await expectStored(rig, BIG);
  });
}

Deno.test("S3Store.put() asks for the etag when the answer has none", async () => {
  await using rig = startS3();
  rig.server.fail({ method: "PUT" }, { kind: "no etag" });
  const info = await rig.store.put("key", SMALL);
  equal(info.etag, (await rig.store.head("key"))?.etag);
  ok(info.etag);
});

Deno.test("S3Store.put() does not complete with parts that have no ETag", async () => {
  await using rig = startS3();
  rig.server.fail({ query: "partNumber" }, { kind: "no etag" });
  await rejects(rig.store.put("key", streamOf(BIG)), /the answer to a part has no ETag/);
  equal([rig.server.bucket().uploads.size, rig.server.bucket().objects.size], [0, 0]);
});

Deno.test("S3Store.put() waits as long as Retry-After says, with jitter on top", async () => {
  for (const [random, expected] of [[0, [7_000, 7_000]], [0.5, [7_100, 7_200]]] as const) {
    await using rig = startS3({ internals: { random: () => random } });
    const headers = { "retry-after": "7" };
    rig.server.fail({ method: "PUT", first: 2 }, { ...SLOW_DOWN, headers });
    await rig.store.put("key", SMALL);
    equal(rig.pauses, expected);
    equal(
      rig.retries.map(({ operation, attempt, delaySeconds }) => [operation, attempt, delaySeconds]),
      [
        ["PutObject", 1, expected[0] / 1000],
        ["PutObject", 2, expected[1] / 1000],
      ],
    );
    match(rig.retries[0]!.reason, /SlowDown/);
  }
});

Deno.test("S3Store.put() understands a Retry-After that is a date", async () => {
  await using rig = startS3({ internals: { random: () => 0 } });
  const headers = { "retry-after": new Date(Date.now() + 20_000).toUTCString() };
  rig.server.fail({ method: "PUT", first: 1 }, { ...SLOW_DOWN, headers });
  await rig.store.put("key", SMALL);
  ok(rig.pauses[0]! >= 18_000 && rig.pauses[0]! <= 20_000, `${rig.pauses}`);
});

Deno.test("S3Store.put() gives up after its attempts, backing off in between", async () => {
  await using rig = startS3({ store: { attempts: 5 }, internals: { random: () => 1 } });
  await rig.store.head("contact");
  const asked = rig.server.requests.length;
  rig.server.fail({ method: "PUT" }, SLOW_DOWN);
  await rejects(rig.store.put("key", SMALL), (error: StorageError) => {
    match(error.message, /^PutObject for object key in s3:\/\/bucket failed: SlowDown$/);
    return error instanceof StorageError && /overloaded/.test(error.hint ?? "");
  });
  equal(rig.server.requests.length - asked, 5);
});

Deno.test("S3Store.put() sits out minutes without the store in the middle of an object", async () => {
  await using rig = startS3({ internals: { random: () => 0.5 } });
  rig.server.fail({ query: "partNumber", first: 100 }, SLOW_DOWN);
  const { size } = await rig.store.put("key", streamOf(BIG));
  equal(size, BIG.length);
  const waited = rig.pauses.reduce((sum, pause) => sum + pause, 0);
  ok(waited > 240_000, `${waited} ms`);
});

Deno.test("S3Store.put() doubles the ceiling of its pauses", async () => {
  const pauses: number[] = [];
  const sleep = (milliseconds: number) => Promise.resolve(void pauses.push(milliseconds));
  await using rig = startS3({ internals: { random: () => 1, sleep } });
  rig.server.fail({ method: "PUT" }, SLOW_DOWN);
  await rejects(rig.store.put("key", SMALL), StorageError);
  equal(pauses, [200, 400, 800, 1_600, 3_200, 6_400, 12_800]);
});

Deno.test("S3Store.put() tells a conflict from its own object after a lost answer", async () => {
  await using rig = startS3();
  await rig.store.put("key", text("somebody else's"));
  rig.server.fail({ method: "PUT", first: 1 }, { kind: "refused" });
  await rejects(
    rig.store.put("key", text("somebody else's"), { ifAbsent: true }),
    ObjectExistsError,
  );
  rig.server.heal();
  rig.server.fail({ method: "PUT", first: 1 }, INTERNAL);
  await rejects(rig.store.put("key", SMALL, { ifMatch: '"another"' }), ObjectExistsError);
  equal(await bytesOf(await rig.store.get("key")), text("somebody else's"));
});

Deno.test("S3Store.put() with ifMatch outlives a lost answer", async () => {
  await using rig = startS3();
  const { etag } = await rig.store.put("key", text("old"));
  rig.server.fail({ method: "PUT", first: 1 }, { kind: "lost answer" });
  await rig.store.put("key", SMALL, { ifMatch: etag! });
  await expectStored(rig, SMALL);
});

Deno.test("S3Store.put() says when it cannot know whether the object was stored", async () => {
  await using rig = startS3();
  await rig.store.put("other", SMALL);
  rig.server.fail({ method: "PUT", first: 1 }, INTERNAL);
  rig.server.fail({ method: "PUT", first: 1 }, { kind: "twice" });
  rig.server.fail({ method: "HEAD" }, DENIED);
  await rejects(rig.store.put("key", SMALL, { ifAbsent: true }), (error: StorageError) => {
    match(error.message, /it is not known whether object key was stored/);
    return !(error instanceof ObjectExistsError) && /s3:GetObject/.test(error.hint ?? "");
  });
});

Deno.test("S3Store.put() with ifAbsent reports a conflict even where it may not look", async () => {
  await using rig = startS3();
  await rig.store.put("key", SMALL);
  rig.server.fail({ method: "HEAD" }, DENIED);
  await rejects(rig.store.put("key", SMALL, { ifAbsent: true }), ObjectExistsError);
});

Deno.test("S3Store.put() of a big object loses against one that came meanwhile", async () => {
  await using rig = startS3();
  const abort = new AbortController();
  const first = stuckStream(BIG);
  const slow = rig.store.put("key", first.stream, { ifAbsent: true, signal: abort.signal });
  await first.drained;
  await rig.store.put("key", text("faster"), { ifAbsent: true });
  abort.abort(new Error("enough"));
  await rejects(slow, /enough/);
  const gate = Promise.withResolvers<void>();
  const body = streamOf(BIG).pipeThrough(
    new TransformStream({ flush: () => gate.promise }, undefined, { highWaterMark: 0 }),
  );
  const late = rig.store.put("late", body, { ifAbsent: true });
  await rig.store.put("late", text("faster"), { ifAbsent: true });
  gate.resolve();
  await rejects(late, ObjectExistsError);
  equal(await bytesOf(await rig.store.get("late")), text("faster"));
  equal(rig.server.bucket().uploads.size, 0);
});

Deno.test("S3Store.put() fails when its upload vanished before Complete", async () => {
  await using rig = startS3();
  const vanished: FaultAction = { kind: "error", status: 404, code: "NoSuchUpload" };
  rig.server.fail({ method: "POST", query: "uploadId" }, vanished);
  await rejects(rig.store.put("key", BIG), (error: StorageError) => {
    match(error.message, /CompleteMultipartUpload for object key .* NoSuchUpload/);
    return /lifecycle/.test(error.hint ?? "");
  });
  equal(await rig.store.head("key"), undefined);
});

for (const query of ["uploads", "partNumber", "uploadId"]) {
  Deno.test(`S3Store.put() refused at ${query} leaves nothing and stops its body at once`, async () => {
    await using rig = startS3();
    const matches: FaultMatch = query === "uploadId"
      ? { method: "POST", query }
      : { query, notQuery: "none" };
    rig.server.fail(matches, DENIED);
    const { stream, cancelled } = stuckStream(BIG);
    const body = query === "uploadId" ? streamOf(BIG) : stream;
    await rejects(rig.store.put("key", body), (error: StorageError) => {
      match(error.message, /AccessDenied/);
      return error instanceof StorageError &&
        /s3:PutObject on arn:aws:s3:::bucket\/\*/.test(error.hint!);
    });
    if (body === stream) await cancelled;
    equal([rig.server.bucket().uploads.size, rig.server.bucket().objects.size], [0, 0]);
  });
}

Deno.test("S3Store.put() throws its own failure when the abort fails too", async () => {
  await using rig = startS3();
  rig.server.fail({ query: "partNumber", nth: 3 }, DENIED);
  rig.server.fail({ method: "DELETE" }, INTERNAL);
  await rejects(rig.store.put("key", BIG), /UploadPart for object key .*AccessDenied/);
  equal(rig.server.bucket().uploads.size, 1);
  rig.server.heal();
  equal(await rig.store.abortUploads("other", { before: new Date(Date.now() + 60_000) }), 0);
  equal(await rig.store.abortUploads("", { before: new Date(Date.now() - 60_000) }), 0);
  equal(await rig.store.abortUploads("", { before: new Date(Date.now() + 60_000) }), 1);
});

Deno.test("S3Store.abortUploads() goes through all pages", async () => {
  await using rig = startS3({ server: { pageKeys: 10 } });
  rig.server.fail({ query: "partNumber" }, DENIED);
  rig.server.fail({ method: "DELETE" }, DENIED);
  for (let at = 0; at < 25; at++) await rejects(rig.store.put(`key/${at}`, BIG), StorageError);
  rig.server.heal();
  equal(await rig.store.abortUploads("key/", { before: new Date(Date.now() + 60_000) }), 25);
  equal(rig.server.bucket().uploads.size, 0);
});

Deno.test("S3Store.put() ends within its time when the server is silent for ever", async () => {
  await using rig = startS3({ store: { idleSeconds: 0.2, attempts: 3 } });
  rig.server.fail({}, { kind: "hang" });
  const start = performance.now();
  await rejects(rig.store.put("key", SMALL), /does not answer/);
  ok(performance.now() - start < 20_000);
});

Deno.test("S3Store.put() abandons a request in flight when the signal says so", async () => {
  await using rig = startS3();
  rig.server.fail({}, { kind: "hang" });
  const reason = new Error("stopped by the test");
  for (const body of [SMALL, BIG]) {
    const signal = AbortSignal.timeout(100);
    const start = performance.now();
    await rejects(rig.store.put("key", body, { signal }), { name: "TimeoutError" });
    ok(performance.now() - start < 20_000);
  }
  const abort = new AbortController();
  const put = rig.store.put("key", streamOf(BIG), { signal: abort.signal });
  setTimeout(() => abort.abort(reason), 50);
  await rejects(put, reason);
});

Deno.test("S3Store finds new credentials when the token expired, if it can", async () => {
  const expired: FaultAction = { kind: "error", status: 400, code: "ExpiredToken" };
  {
    await using rig = startS3();
    rig.server.fail({}, expired);
    await rejects(
      rig.store.put("key", SMALL),
      (error: StorageError) =>
        /ExpiredToken/.test(error.message) && /log in again/.test(error.hint ?? ""),
    );
    equal(rig.server.requests.length, 1, "the same keys would fail again");
  }
  const { accessKeyId, secretAccessKey } = {
    accessKeyId: "testkey",
    secretAccessKey: "testsecretkey123",
  };
  const useKeys = (secret: string) => {
    Deno.env.set("AWS_ACCESS_KEY_ID", accessKeyId);
    Deno.env.set("AWS_SECRET_ACCESS_KEY", secret);
  };
  await using rig = startS3({
    store: { credentials: undefined!, onRetry: () => useKeys(secretAccessKey) },
  });
  useKeys("the old one");
  try {
    rig.server.fail({ first: 1 }, expired);
    await rig.store.put("key", SMALL);
    rig.server.heal();
    rig.server.fail({}, expired);
    await rejects(rig.store.put("key", SMALL), /ExpiredToken/);
  } finally {
    Deno.env.delete("AWS_ACCESS_KEY_ID");
    Deno.env.delete("AWS_SECRET_ACCESS_KEY");
  }
});
