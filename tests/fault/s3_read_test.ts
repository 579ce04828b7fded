/** What becomes of reads, listings and removals when S3, the network or a proxy fails. */
import { deepStrictEqual as equal, match, ok, rejects } from "node:assert/strict";
import {
  IntegrityError,
  ObjectExistsError,
  ObjectMissingError,
  StorageError,
} from "../../src/domain/errors.ts";
import { bytesOf, content, streamOf, text } from "../support/bodies.ts";
import { type FaultAction, seededRandom } from "../support/s3_server/faults.ts";
import { startS3 } from "../support/storage/s3_rig.ts";

const OBJECT = content(1_000_003);
const INTERNAL: FaultAction = { kind: "error", status: 500, code: "InternalError" };
const HTML_404: FaultAction = {
  kind: "error",
  status: 404,
  code: "NotFound",
  body: "<html><body>nothing to see here</body></html>",
};

const breaks: readonly (readonly [string, FaultAction])[] = [
  ["a transfer that is cut", { kind: "truncate", bytes: 300_000 }],
  ["a transfer that is cut before the first byte", { kind: "close after headers" }],
  ["a transfer that stalls", { kind: "stall", bytes: 300_000 }],
  ["500 InternalError", INTERNAL],
  ["a closed connection", { kind: "refused" }],
  ["silence", { kind: "hang" }],
];

for (const [name, action] of breaks) {
  Deno.test(`S3Store.get() outlives ${name}`, async () => {
    await using rig = startS3({ store: { idleSeconds: 0.3 } });
    const { etag } = await rig.store.put("key", OBJECT);
    rig.server.fail({ method: "GET", first: 2 }, action);
    ok(Buffer.compare(await bytesOf(await rig.store.get("key")), OBJECT) === 0, "the whole");
    rig.server.heal();
    rig.server.fail({ method: "GET", first: 2 }, action);
    const part = await bytesOf(await rig.store.get("key", { range: [10, 900_000] }));
    ok(Buffer.compare(part, OBJECT.subarray(10, 900_000)) === 0, "a part");
    const resumed = rig.server.requestsOf("GET").filter(({ headers }) => headers.has("if-match"));
    ok(resumed.every(({ headers }) => headers.get("if-match") === etag), "only of the same etag");
  });
}

Deno.test("S3Store.get() goes on where the transfer broke", async () => {
  await using rig = startS3();
  await rig.store.put("key", OBJECT);
  rig.server.fail({ method: "GET", first: 1 }, { kind: "truncate", bytes: 300_000 });
  await bytesOf(await rig.store.get("key"));
  const [, second] = rig.server.requestsOf("GET");
  equal(second?.headers.get("range"), "bytes=300000-1000002");
});

Deno.test("S3Store.get() sits out minutes without the store in the middle of an object", async () => {
  await using rig = startS3();
  await rig.store.put("key", OBJECT);
  rig.server.fail({ method: "GET", first: 1 }, { kind: "truncate", bytes: 300_000 });
  const stream = await rig.store.get("key");
  rig.server.fail({ method: "GET", first: 30 }, { kind: "error", status: 503, code: "SlowDown" });
  equal(await bytesOf(stream), OBJECT);
  equal(rig.server.requestsOf("GET").length, 32);
});

Deno.test("S3Store.get() errors in the end when every transfer breaks, and is never just short", async () => {
  for (const bytes of [0, 1_000]) {
    await using rig = startS3();
    await rig.store.put("key", OBJECT);
    rig.server.fail({ method: "GET" }, { kind: "truncate", bytes });
    await rejects(bytesOf(await rig.store.get("key")), (error: StorageError) => {
      match(error.message, /GetObject for object key .* does not answer/);
      return error instanceof StorageError;
    });
    ok(rig.server.requestsOf("GET").length < 20, "a bounded number of attempts");
  }
});

Deno.test("S3Store.get() reads a slow transfer to its end", async () => {
  // Longer than the idle limit as a whole, each pause far below it, also on a busy machine.
  await using rig = startS3({ store: { idleSeconds: 2 } });
  await rig.store.put("key", content(10_000));
  rig.server.fail({ method: "GET" }, { kind: "drip", bytesPerSecond: 3_000 });
  equal(await bytesOf(await rig.store.get("key")), content(10_000));
  equal(rig.server.requestsOf("GET").length, 1);
});

Deno.test("S3Store.get() errors when a byte of an object in one piece was flipped", async () => {
  await using rig = startS3();
  await rig.store.put("key", content(90_000));
  rig.server.fail({ method: "GET", first: 1 }, { kind: "flip byte", at: 77_777 });
  await rejects(bytesOf(await rig.store.get("key")), IntegrityError);
  equal(await bytesOf(await rig.store.get("key")), content(90_000));
  rig.server.heal();
  rig.server.fail({ method: "GET", nth: 1 }, { kind: "truncate", bytes: 50_000 });
  rig.server.fail({ method: "GET", nth: 1 }, { kind: "flip byte", at: 7 });
  await rejects(bytesOf(await rig.store.get("key")), IntegrityError, "also when it was resumed");
});

Deno.test("S3Store.get() errors when the object is replaced or removed between two transfers", async () => {
  for (const change of ["replaced", "removed"]) {
    await using rig = startS3();
    await rig.store.put("key", OBJECT);
    rig.server.fail({ method: "GET", first: 1 }, { kind: "truncate", bytes: 500_000 });
    const reader = (await rig.store.get("key")).getReader();
    await reader.read();
    if (change === "replaced") await rig.store.put("key", content(1_000_003, 2));
    if (change === "removed") await rig.store.delete(["key"]);
    await rejects(async () => {
      while (!(await reader.read()).done);
    }, /was replaced or removed while it was read/);
  }
});

Deno.test("S3Store.get() refuses another part than the one it asked for", async () => {
  await using rig = startS3();
  await rig.store.put("key", OBJECT);
  rig.server.fail({ method: "GET" }, { kind: "ignore range" });
  await rejects(rig.store.get("key", { range: [5, 10] }), /another part of object key/);
});

Deno.test("S3Store takes only NoSuchKey for absence", async () => {
  await using rig = startS3();
  await rejects(rig.store.get("absent"), ObjectMissingError);
  equal(await rig.store.head("absent"), undefined);
  const denied: FaultAction = { kind: "error", status: 403, code: "AccessDenied" };
  const bucket: FaultAction = { kind: "error", status: 404, code: "NoSuchBucket" };
  for (const action of [HTML_404, denied, bucket]) {
    rig.server.heal();
    rig.server.fail({ key: /^absent$/ }, action);
    for (const call of [() => rig.store.get("absent"), () => rig.store.head("absent")]) {
      await rejects(
        call,
        (error: Error) => error instanceof StorageError && !(error instanceof ObjectMissingError),
      );
    }
  }
});

Deno.test("S3Store.head() does not take a missing bucket for a missing object", async () => {
  await using rig = startS3({ store: { bucket: "no-such-bucket" } });
  await rejects(rig.store.head("key"), (error: StorageError) => {
    match(error.message, /NoSuchBucket/);
    return /create the bucket no-such-bucket/.test(error.hint ?? "");
  });
});

Deno.test("S3Store.head() sees an object that appears between its two questions", async () => {
  await using rig = startS3();
  await rig.store.put("key", text("hello"));
  rig.server.fail({ method: "HEAD", first: 1 }, HTML_404);
  equal((await rig.store.head("key"))?.size, 5);
});

for (
  const [name, action] of [
    ["503", { kind: "error", status: 503, code: "SlowDown" }],
    [
      "half an answer",
      { kind: "body", body: "<ListBucketResult><Contents><Key>a" },
    ],
    ["a lost answer", { kind: "lost answer" }],
    ["an answer that stalls", {
      kind: "stall",
      bytes: 100,
    }],
  ] as readonly (readonly [string, FaultAction])[]
) {
  Deno.test(`S3Store.list() outlives ${name} in the middle`, async () => {
    await using rig = startS3({ server: { pageKeys: 10 }, store: { idleSeconds: 0.2 } });
    const keys = Array.from({ length: 35 }, (_, at) => `key/${at + 100}`);
    for (const key of keys) await rig.store.put(key, text(key));
    rig.server.fail({ query: "continuation-token", first: 2 }, action);
    equal((await Array.fromAsync(rig.store.list(""))).map(({ key }) => key), keys);
  });
}

Deno.test("S3Store.list() gives what a stale listing has, as whole entries", async () => {
  await using rig = startS3();
  for (const key of ["a", "b", "c"]) await rig.store.put(key, text(key));
  rig.server.fail({ query: "list-type" }, { kind: "stale list", hide: 1 });
  equal((await Array.fromAsync(rig.store.list(""))).map(({ key }) => key), ["a", "b"]);
  equal((await rig.store.head("c"))?.size, 1, "head() does not depend on listings");
});

Deno.test("S3Store.list() sorts what a server lists in another order", async () => {
  for (const listOrder of ["folders", "backwards"] as const) {
    await using rig = startS3({ server: { listOrder, pageKeys: 2 } });
    const keys = ["wal/00000002.history", "wal/00000002/a", "wal/00000002/b", "wal/00000003"];
    for (const key of keys) await rig.store.put(key, text(key));
    equal((await Array.fromAsync(rig.store.list(""))).map(({ key }) => key), keys);
    const behind = rig.store.list("wal/", { startAfter: "wal/00000002/a" });
    equal((await Array.fromAsync(behind)).map(({ key }) => key), keys.slice(2));
  }
});

Deno.test("S3Store.list() that streams notices a wrong order", async () => {
  await using rig = startS3({ server: { listOrder: "backwards" }, store: { listOrder: "bytes" } });
  for (const key of ["a", "b", "c"]) await rig.store.put(key, text(key));
  await rejects(Array.fromAsync(rig.store.list("")), (error: StorageError) => {
    match(error.message, /not the order of the keys' bytes/);
    return /list_order/.test(error.hint ?? "");
  });
});

Deno.test("S3Store.list() that streams asks for no more pages than are read", async () => {
  await using rig = startS3({ server: { pageKeys: 2 }, store: { listOrder: "bytes" } });
  for (const key of ["a", "b", "c", "d", "e"]) await rig.store.put(key, text(key));
  for await (const { key } of rig.store.list("", { startAfter: "a" })) {
    if (key === "c") break;
  }
  const lists = rig.server.requestsOf("GET", "list-type");
  equal(lists.map(({ query }) => query.get("start-after")), ["a"]);
});

Deno.test("S3Store.list() does not turn for ever in a listing that does not go on", async () => {
  await using rig = startS3();
  const body = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
  rig.server.fail({ query: "list-type" }, { kind: "body", body });
  await rejects(Array.fromAsync(rig.store.list("")), /says that there is more, but not where/);
});

Deno.test("S3Store.list() writes etags as put() does, where a server leaves out their quotes", async () => {
  await using rig = startS3();
  const { etag } = await rig.store.put("a", text("a"));
  const entry = `<Contents><Key>a</Key><ETag>${etag?.slice(1, -1)}</ETag><Size>1</Size></Contents>`;
  const body = `<ListBucketResult>${entry}</ListBucketResult>`;
  rig.server.fail({ query: "list-type" }, { kind: "body", body });
  equal((await Array.fromAsync(rig.store.list("")))[0]?.etag, etag);
});

Deno.test("S3Store.list() leaves out keys that backupctl never writes", async () => {
  await using rig = startS3({ store: { prefix: "tool" } });
  await using other = startS3();
  await rig.store.put("a", text("a"));
  const [object] = rig.server.bucket().objects.values();
  for (const key of ["tool/", "tool/x/", "tool//y", "tool/.backupctl/z", "toolbox/q"]) {
    rig.server.bucket().objects.set(key, { ...object!, key });
  }
  equal((await Array.fromAsync(rig.store.list(""))).map(({ key }) => key), ["a"]);
  ok(other);
});

Deno.test("S3Store.delete() names the keys that are still there", async () => {
  await using rig = startS3({ server: { undeletable: /locked/ }, store: { prefix: "p" } });
  for (const key of ["a", "locked/1", "locked/2"]) await rig.store.put(key, text(key));
  await rejects(rig.store.delete(["a", "locked/1", "locked/2"]), (error: StorageError) => {
    match(
      error.message,
      /^2 objects in s3:\/\/bucket\/p could not be removed \(locked\/1, locked\/2\)/,
    );
    return /s3:DeleteObject/.test(error.hint ?? "");
  });
  equal((await Array.fromAsync(rig.store.list(""))).length, 2);
});

Deno.test("S3Store.delete() removes 2,500 keys by three requests", async () => {
  await using rig = startS3();
  const { objects } = rig.server.bucket();
  await rig.store.put("x", text("x"));
  const [object] = objects.values();
  const keys = Array.from({ length: 2_500 }, (_, at) => `key & <${at}>`);
  for (const key of keys) objects.set(key, { ...object!, key });
  await rig.store.delete(keys);
  equal([...objects.keys()], ["x"]);
  equal(rig.server.requestsOf("POST", "delete").length, 3);
});

Deno.test("S3Store.delete() repeats what failed for a passing reason", async () => {
  const entry = (code: string) =>
    `<DeleteResult><Error><Key>a</Key><Code>${code}</Code></Error></DeleteResult>`;
  for (
    const action of [
      { kind: "body", body: entry("InternalError") },
      { kind: "error in 200", code: "InternalError" },
      { kind: "body", body: "<DeleteRes" },
    ] as const
  ) {
    await using rig = startS3();
    await rig.store.put("a", text("a"));
    rig.server.fail({ query: "delete", first: 2 }, action);
    await rig.store.delete(["a"]);
    equal(rig.server.requestsOf("POST", "delete").length, 3, action.kind);
  }
  await using rig = startS3();
  rig.server.fail({ query: "delete" }, { kind: "body", body: entry("SlowDown") });
  await rejects(rig.store.delete(["a"]), /1 object in .* \(a\): SlowDown/);
});

Deno.test("S3Store.delete() does without DeleteObjects where there is none", async () => {
  await using rig = startS3();
  for (const key of ["a", "b"]) await rig.store.put(key, text(key));
  rig.server.fail({ query: "delete" }, { kind: "error", status: 501, code: "NotImplemented" });
  await rig.store.delete(["a", "b", "absent"]);
  equal(rig.server.bucket().objects.size, 0);
});

Deno.test("S3Store keeps every promise under mixed faults", async () => {
  const seed = Number(Deno.env.get("BACKUPCTL_TEST_SEED") ?? Date.now() % 1_000_000);
  const kinds: readonly FaultAction[] = [
    { kind: "error", status: 503, code: "SlowDown" },
    INTERNAL,
    { kind: "lost answer" },
    { kind: "refused" },
    { kind: "twice" },
    { kind: "truncate", bytes: 40_000 },
    { kind: "error in 200", code: "InternalError" },
  ];
  await using rig = startS3({ server: { seed }, store: { attempts: 20 } });
  for (const action of kinds) {
    const method = action.kind === "truncate" ? { method: "GET" } : {};
    const query = action.kind === "error in 200" ? { method: "POST", query: "uploadId" } : method;
    rig.server.fail({ ...query, probability: 0.05 }, action);
  }
  const random = seededRandom(seed);
  try {
    const acknowledged = new Map<string, number>();
    await Promise.all(Array.from({ length: 60 }, async (_, at) => {
      const key = `key/${at % 40}`; // a third of the keys is fought for
      const body = content(Math.floor(random() * 400_000), at + 1);
      try {
        await rig.store.put(key, at % 2 ? body : streamOf(body), { ifAbsent: true });
        ok(!acknowledged.has(key), `two winners of ${key}`);
        acknowledged.set(key, body.length);
      } catch (error) {
        if (!(error instanceof ObjectExistsError)) throw error;
      }
    }));
    equal(acknowledged.size, 40);
    for (const [key, size] of acknowledged) {
      const read = await bytesOf(await rig.store.get(key));
      const stored = rig.server.bucket().objects.get(key)!.bytes!;
      ok(read.length === size && Buffer.compare(read, stored) === 0, key);
    }
  } catch (error) {
    console.error(`seed: BACKUPCTL_TEST_SEED=${seed}`);
    throw error;
  }
});
