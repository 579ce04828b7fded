/**
 * What every object store must do. An adapter's own test file only says how to open one.
 *
 * @module
 */
import { deepStrictEqual as equal, ok, rejects } from "node:assert/strict";
import type { Bytes } from "../../src/domain/bytes.ts";
import { MiB } from "../../src/domain/bytes.ts";
import {
  LeaseLostError,
  ObjectExistsError,
  ObjectMissingError,
  StorageError,
} from "../../src/domain/errors.ts";
import type { ObjectInfo, ObjectStore } from "../../src/storage/storage.ts";
import { copies } from "./object_copies.ts";
import {
  bytesOf,
  content,
  failingStream,
  largeStream,
  streamOf,
  stuckStream,
  text,
} from "../support/bodies.ts";
import { collectGarbage } from "../support/collect_garbage.ts";

/** An empty store of its own for one test. */
export interface OpenedStore {
  readonly store: ObjectStore;
  /** Removes what the test left and closes what was opened. */
  readonly dispose: () => Promise<void>;
}

/** What may differ between stores. */
export interface ContractOptions {
  /** A body of this length is stored in several parts, where the store has parts. */
  readonly bigBytes: number;
  /** Length of the put whose memory is measured; 0 leaves the test out (a store in memory). */
  readonly streamedBytes: number;
  /** Only the tests with such titles. */
  readonly only?: RegExp;
  /** Titles of tests that this store is known not to pass, with the reason. */
  readonly differences?: Readonly<Record<string, string>>;
}

type Test = (store: ObjectStore) => Promise<void>;

/** Registers the suite for one store. */
export function objectStoreContract(
  name: string,
  open: () => Promise<OpenedStore>,
  options: ContractOptions,
): void {
  for (const [title, test] of Object.entries(contractTests(options))) {
    if (options.only?.test(title) === false) continue;
    const reason = options.differences?.[title];
    if (reason !== undefined) {
      Deno.test(`${name}: ${title} [permitted difference: ${reason}]`, () => {});
      continue;
    }
    Deno.test(`${name}: ${title}`, async () => {
      const { store, dispose } = await open();
      try {
        await test(store);
      } finally {
        await dispose();
      }
    });
  }
}

function contractTests(options: ContractOptions): Readonly<Record<string, Test>> {
  const { bigBytes, streamedBytes } = options;
  return {
    ...wholeObjects(bigBytes),
    ...keys(),
    ...ranges(bigBytes),
    ...absence(),
    ...conditions(bigBytes),
    ...copies(bigBytes),
    ...failures(bigBytes),
    ...listings(),
    ...(streamedBytes > 0 ? memory(streamedBytes) : {}),
  };
}

function wholeObjects(bigBytes: number): Record<string, Test> {
  return {
    "put() and get() keep bytes of any length": async (store) => {
      for (const length of [0, 1, 17, 65_536, 1_000_003]) {
        const bytes = content(length);
        await store.put(`bytes/${length}`, bytes);
        await store.put(`stream/${length}`, streamOf(bytes));
        await expectContent(store, `bytes/${length}`, bytes);
        await expectContent(store, `stream/${length}`, bytes);
      }
    },
    "put() keeps a big object, from bytes and from a stream of unknown length": async (store) => {
      const bytes = content(bigBytes);
      await store.put("big/bytes", bytes);
      await store.put("big/stream", streamOf(bytes));
      await store.put("big/sized", streamOf(bytes, 7_777), { size: bytes.length });
      for (const key of ["big/bytes", "big/stream", "big/sized"]) {
        await expectContent(store, key, bytes);
      }
    },
    "put() takes streams with empty and tiny chunks": async (store) => {
      const bytes = content(2_000);
      const chunks = [...bytes].flatMap((_, at) => [bytes.slice(at, at + 1), new Uint8Array(0)]);
      await store.put("tiny", ReadableStream.from<Bytes>(chunks));
      await expectContent(store, "tiny", bytes);
    },
    "put() and head() tell the same": async (store) => {
      const put = await store.put("a/b", text("hello"), {
        metadata: { sha256: "ab", "x-y": "1 2" },
      });
      const head = await store.head("a/b");
      equal({ ...put, lastModified: undefined }, { ...head, lastModified: undefined });
      equal([put.key, put.size], ["a/b", 5]);
      equal(put.metadata, { sha256: "ab", "x-y": "1 2" });
      ok(put.etag, "an etag");
    },
    "put() replaces an object with its etag and metadata": async (store) => {
      const first = await store.put("key", text("one"), { metadata: { a: "1" } });
      const second = await store.put("key", text("two2"), { metadata: { b: "2" } });
      await expectContent(store, "key", text("two2"));
      equal((await store.head("key"))?.metadata, { b: "2" });
      ok(first.etag !== second.etag, "another etag");
      await store.put("key", text("3"));
      equal((await store.head("key"))?.metadata, {});
    },
    "put() keeps the metadata of a big object": async (store) => {
      await store.put("big", streamOf(content(bigBytes)), { metadata: { sha256: "f00" } });
      equal((await store.head("big"))?.metadata, { sha256: "f00" });
    },
    "put() refuses metadata that stores would change": async (store) => {
      for (const metadata of [{ Upper: "x" }, { a: "ä" }, { a: " x" }, { a: "x".repeat(2_048) }]) {
        await rejects(store.put("key", text("x"), { metadata }), StorageError);
      }
      await expectNothing(store);
    },
    "get() gives the object as it was opened while it is replaced": async (store) => {
      const [old, young] = [content(bigBytes, 1), content(bigBytes, 2)];
      await store.put("key", old);
      const reader = (await store.get("key")).getReader();
      const first = await reader.read();
      await store.put("key", young);
      const read = await restOf(reader, first.value).catch((error) => error);
      ok(read instanceof StorageError || Buffer.compare(read, old) === 0, "old or an error");
      await expectContent(store, "key", young);
    },
    "get() can be given up": async (store) => {
      await store.put("key", content(bigBytes));
      const stream = await store.get("key");
      const reader = stream.getReader();
      await reader.read();
      await reader.cancel("enough");
      const abort = new AbortController();
      const second = (await store.get("key", { signal: abort.signal })).getReader();
      await second.read();
      abort.abort(new Error("stop here"));
      await rejects(async () => {
        while (!(await second.read()).done);
      }, /stop here/);
    },
  };
}

function keys(): Record<string, Test> {
  const special = [
    "plain",
    "with space/and more ",
    "percent%20/%",
    "plus+equals=amp&quest?hash#",
    "quotes'\"`/semi;colon:comma,at@dollar$",
    "brackets[](){}<>|^~!*",
    "back\\slash",
    "unicode-ä-ñ-漢字-😀",
    ".hidden/..dots/...",
    "-leading/--dash",
    `${"x".repeat(255)}/${"y".repeat(255)}`,
  ];
  const refused = ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\0b", "a\nb"];
  refused.push("x".repeat(256), "ä".repeat(128), "\ud800", "z/".repeat(600) + "z", ".backupctl/x");
  return {
    "keys with special characters name different objects": async (store) => {
      for (const key of special) await store.put(key, text(key));
      for (const key of special) {
        await expectContent(store, key, text(key));
        equal((await store.head(key))?.size, text(key).length);
      }
      equal((await listed(store, "")).toSorted(), special.toSorted());
      await store.delete(special);
      await expectNothing(store);
    },
    "keys that could leave the store or not be stored everywhere are refused": async (store) => {
      for (const key of refused) {
        await rejects(store.put(key, text("x")), StorageError, JSON.stringify(key));
        await rejects(store.get(key), StorageError, JSON.stringify(key));
        await rejects(store.head(key), StorageError, JSON.stringify(key));
        await rejects(store.delete([key]), StorageError, JSON.stringify(key));
      }
      await expectNothing(store);
    },
  };
}

function ranges(bigBytes: number): Record<string, Test> {
  return {
    "get() reads a range": async (store) => {
      const bytes = content(bigBytes);
      await store.put("key", bytes);
      const spans = [[0, 1], [0, bigBytes], [1, 2], [bigBytes - 1, bigBytes], [777, 777_777]];
      for (const [start, end] of spans as [number, number][]) {
        const read = await bytesOf(await store.get("key", { range: [start, end] }));
        ok(Buffer.compare(read, bytes.subarray(start, end)) === 0, `range ${start}-${end}`);
      }
    },
    "get() cuts a range at the end of the object and refuses one behind it": async (store) => {
      await store.put("key", text("0123456789"));
      equal(await bytesOf(await store.get("key", { range: [8, 50] })), text("89"));
      await rejects(store.get("key", { range: [10, 12] }), StorageError);
      await rejects(store.get("absent", { range: [0, 1] }), ObjectMissingError);
      for (const range of [[3, 3], [3, 2], [-1, 2], [0, 1.5], [0, NaN]] as [number, number][]) {
        await rejects(store.get("key", { range }), RangeError, `${range}`);
      }
    },
  };
}

function absence(): Record<string, Test> {
  return {
    "an absent object is told by get() and head()": async (store) => {
      await store.put("there/object", text("x"));
      for (const key of ["absent", "there", "there/object2", "there/other/object", "a/b/c/d"]) {
        await rejects(store.get(key), ObjectMissingError, key);
        equal(await store.head(key), undefined, key);
      }
    },
    "delete() removes what is there and passes over what is not": async (store) => {
      await store.put("a/b/c", text("x"), { metadata: { a: "1" } });
      await store.put("a/b/d", text("x"));
      await store.delete([]);
      await store.delete(["a/b/c", "a/absent", "a/b", "x/y/z"]);
      await rejects(store.get("a/b/c"), ObjectMissingError);
      equal(await listed(store, ""), ["a/b/d"]);
      await store.put("a/b/c", text("x"));
      equal((await store.head("a/b/c"))?.metadata, {});
      await store.delete(["a/b/c", "a/b/d"]);
      await expectNothing(store);
    },
    "delete() removes nothing more once its guard throws": async (store) => {
      for (const key of ["a", "b", "c"]) await store.put(key, text("x"));
      let allowed = true;
      const guard = () => {
        if (!allowed) throw new LeaseLostError("removal", "it was suspended");
      };
      await store.delete(["a"], { guard });
      equal(await listed(store, ""), ["b", "c"]);
      allowed = false;
      await rejects(store.delete(["b", "c"], { guard }), LeaseLostError);
      equal(await listed(store, ""), ["b", "c"]);
    },
  };
}

function conditions(bigBytes: number): Record<string, Test> {
  return {
    "put() with ifAbsent stores once": async (store) => {
      await store.put("lock", text("first"), { ifAbsent: true, metadata: { owner: "first" } });
      const late = { ifAbsent: true, metadata: { owner: "late" } };
      await rejects(store.put("lock", text("late"), late), ObjectExistsError);
      await rejects(store.put("lock", streamOf(text("late")), late), ObjectExistsError);
      await rejects(store.put("lock", streamOf(content(bigBytes)), late), ObjectExistsError);
      await expectContent(store, "lock", text("first"));
      equal((await store.head("lock"))?.metadata, { owner: "first" });
      await store.delete(["lock"]);
      await store.put("lock", streamOf(content(bigBytes)), { ifAbsent: true });
      await expectContent(store, "lock", content(bigBytes));
    },
    "put() with ifAbsent has one winner among 16": async (store) => {
      for (const length of [10, 100_000]) {
        const results = await Promise.allSettled(
          Array.from({ length: 16 }, (_, racer) =>
            store.put(
              `race/${length}`,
              racer % 2 ? content(length, racer) : streamOf(content(length, racer)),
              {
                ifAbsent: true,
                metadata: { racer: `${racer}` },
              },
            )),
        );
        const winner = onlyWinner(results);
        await expectContent(store, `race/${length}`, content(length, winner));
        equal((await store.head(`race/${length}`))?.metadata, { racer: `${winner}` });
      }
    },
    "put() with ifMatch replaces only the object of that etag": async (store) => {
      await rejects(store.put("key", text("x"), { ifMatch: '"none"' }), ObjectExistsError);
      equal(await store.head("key"), undefined);
      const first = await store.put("key", text("one"));
      const second = await store.put("key", text("two"), { ifMatch: first.etag! });
      await rejects(store.put("key", text("three"), { ifMatch: first.etag! }), ObjectExistsError);
      await expectContent(store, "key", text("two"));
      await store.put("key", streamOf(content(bigBytes)), { ifMatch: second.etag! });
      await expectContent(store, "key", content(bigBytes));
    },
    "put() with ifMatch has one winner among 8": async (store) => {
      const { etag } = await store.put("lease", text("nobody"));
      const results = await Promise.allSettled(
        Array.from(
          { length: 8 },
          (_, racer) => store.put("lease", text(`racer ${racer}`), { ifMatch: etag! }),
        ),
      );
      await expectContent(store, "lease", text(`racer ${onlyWinner(results)}`));
    },
  };
}

function failures(bigBytes: number): Record<string, Test> {
  return {
    "put() leaves nothing when its body fails": async (store) => {
      const failure = new Error("the source broke");
      await store.put("old", text("old"));
      for (const length of [0, 1_000, bigBytes]) {
        const body = () => failingStream(content(length), failure);
        await rejects(store.put(`new/${length}`, body()), failure);
        await rejects(store.put("old", body()), failure);
        await rejects(store.put(`sized/${length}`, body(), { size: length + 1 }), failure);
      }
      equal(await listed(store, ""), ["old"]);
      await expectContent(store, "old", text("old"));
      equal(await store.abortUploads?.("", { before: new Date(Date.now() + 3_600_000) }) ?? 0, 0);
    },
    "put() leaves nothing when its body is not as long as announced": async (store) => {
      const bytes = content(bigBytes);
      for (const size of [0, bigBytes - 1, bigBytes + 1]) {
        await rejects(store.put("stream", streamOf(bytes), { size }), StorageError);
        await rejects(store.put("bytes", bytes, { size }), StorageError);
      }
      await expectNothing(store);
    },
    "put() ends with the signal's reason, whatever its body does": async (store) => {
      const reason = new Error("stopped by the test");
      await rejects(store.put("key", text("x"), { signal: AbortSignal.abort(reason) }), reason);
      const unread = stuckStream(text("x"));
      await rejects(store.put("key", unread.stream, { signal: AbortSignal.abort(reason) }), reason);
      await unread.cancelled;
      for (const length of [0, 1_000, bigBytes]) {
        const { stream, cancelled, drained } = stuckStream(content(length));
        const abort = new AbortController();
        const put = store.put("key", stream, { signal: abort.signal });
        await drained;
        abort.abort(reason);
        await rejects(put, reason);
        await cancelled;
      }
      await expectNothing(store);
    },
    "put() cancels a body that is longer than announced": async (store) => {
      const { stream, cancelled } = stuckStream(content(1_000));
      await rejects(store.put("key", stream, { size: 999 }), StorageError);
      ok(await cancelled instanceof StorageError, "with the reason");
      await expectNothing(store);
    },
    "put() cancels a body that it refuses": async (store) => {
      await store.put("taken", text("x"));
      const { stream, cancelled } = stuckStream(text("x"));
      await rejects(store.put("a//b", stream), StorageError);
      await cancelled;
    },
    "an object is invisible until it is whole": async (store) => {
      const { stream, drained } = stuckStream(content(bigBytes));
      const abort = new AbortController();
      const put = store.put("slow/object", stream, { signal: abort.signal });
      await drained;
      equal(await store.head("slow/object"), undefined);
      equal(await listed(store, ""), []);
      abort.abort(new Error("enough"));
      await rejects(put, /enough/);
    },
    "reading ends with the signal's reason": async (store) => {
      const signal = AbortSignal.abort(new Error("too late"));
      await store.put("key", text("x"));
      await rejects(store.get("key", { signal }), /too late/);
      await rejects(store.head("key", { signal }), /too late/);
      await rejects(store.delete(["key"], { signal }), /too late/);
      await rejects(Array.fromAsync(store.list("", { signal })), /too late/);
      equal(await listed(store, ""), ["key"]);
    },
    "abortUploads() leaves finished objects and young uploads alone": async (store) => {
      if (store.abortUploads === undefined) return;
      await store.put("done", text("x"), { metadata: { a: "1" } });
      const { stream, drained } = stuckStream(content(bigBytes));
      const abort = new AbortController();
      const put = store.put("young", stream, { signal: abort.signal });
      await drained;
      equal(await store.abortUploads("", { before: new Date(Date.now() - 3_600_000) }), 0);
      abort.abort(new Error("enough"));
      await rejects(put, /enough/);
      equal((await store.head("done"))?.metadata, { a: "1" });
    },
  };
}

function listings(): Record<string, Test> {
  return {
    "list() gives 1,500 keys in order, by prefix and behind a key": async (store) => {
      const names = Array.from(
        { length: 1_500 },
        (_, at) => `wal/${String(at >> 8).padStart(4, "0")}/${String(at).padStart(6, "0")}`,
      );
      await store.put("other/object", text("x"));
      await store.put("wal-object", text("x"));
      await inParallel(16, names.toSorted(), (key) => store.put(key, text(key)));
      equal(await listed(store, "wal/"), names);
      equal(await listed(store, "wal/0003/"), names.slice(768, 1024));
      equal(await listed(store, "wal/0003/0007"), names.slice(768, 800));
      equal(await listed(store, "wal/", names[1_200]), names.slice(1_201));
      equal(await listed(store, "wal/", "wal/0003/000800x"), names.slice(801));
      equal(await listed(store, "wal/", "wal/0002"), names.slice(512));
      equal(await listed(store, "wal/", "x"), []);
      equal((await listed(store, "")).length, 1_502);
      const first = await store.list("wal/")[Symbol.asyncIterator]().next();
      equal(first.value?.key, names[0]);
      await store.delete([...names, "other/object", "wal-object"]);
      await expectNothing(store);
    },
    "list() orders by the bytes of the keys": async (store) => {
      const names = [
        "a!b",
        "a-/c",
        "a-b",
        "a.history",
        "a/b",
        "a/b!",
        "a0",
        "a~",
        "aä",
        "a\ue000",
        "a😀",
      ];
      await inParallel(4, names.toReversed(), (key) => store.put(key, text(key)));
      equal(await listed(store, ""), names);
      equal(await listed(store, "a"), names);
      for (const [at, key] of names.entries()) {
        equal(await listed(store, "", key), names.slice(at + 1), `behind ${key}`);
      }
    },
    "list() tells sizes and etags as head() does": async (store) => {
      await store.put("key", text("hello"), { metadata: { a: "1" } });
      const [info] = await Array.fromAsync(store.list("k"));
      const head = await store.head("key");
      equal([info?.key, info?.size, info?.etag], ["key", 5, head?.etag]);
      ok(Math.abs(info!.lastModified!.getTime() - Date.now()) < 600_000, "a time near now");
    },
    "list() of a prefix that nothing has is empty": async (store) => {
      await store.put("a/b", text("x"));
      for (const prefix of ["b", "a/b/", "a/b/c", "../", "/", "a//", "./a", "a/../a"]) {
        equal(await listed(store, prefix), [], prefix);
      }
    },
  };
}

function memory(streamedBytes: number): Record<string, Test> {
  return {
    "put() of a large stream stays in bounded memory, and get() waits for its reader": async (
      store,
    ) => {
      const before = Deno.memoryUsage().rss;
      let peak = before;
      const look = () => {
        // What counts is what is held; garbage may lie about for long where others take the cores.
        if (Deno.memoryUsage().rss - before > 256 * MiB) collectGarbage();
        peak = Math.max(peak, Deno.memoryUsage().rss);
      };
      equal((await store.put("large", largeStream(streamedBytes, look))).size, streamedBytes);
      const afterPut = peak;
      const reader = (await store.get("large")).getReader();
      await reader.read();
      for (let pause = 0; pause < 10; pause++) { // what was not asked for has time to arrive
        await new Promise((resolve) => setTimeout(resolve, 50));
        look();
      }
      await reader.cancel();
      const grown = [afterPut - before, peak - afterPut].map((bytes) => Math.round(bytes / MiB));
      ok(grown[0]! < 320 && grown[1]! < 128, `grew by ${grown} MiB`);
    },
  };
}

function onlyWinner(results: readonly PromiseSettledResult<ObjectInfo>[]): number {
  const winners = results.flatMap(({ status }, at) => status === "fulfilled" ? [at] : []);
  for (const result of results) {
    if (result.status === "rejected" && !(result.reason instanceof ObjectExistsError)) {
      throw result.reason;
    }
  }
  equal(winners.length, 1, `winners: ${winners}`);
  return winners[0]!;
}

async function expectContent(store: ObjectStore, key: string, expected: Bytes): Promise<void> {
  const found = await bytesOf(await store.get(key));
  equal(found.length, expected.length, `length of ${key}`);
  ok(Buffer.compare(found, expected) === 0, `content of ${key}`);
}

async function expectNothing(store: ObjectStore): Promise<void> {
  equal(await listed(store, ""), []);
}

async function listed(store: ObjectStore, prefix: string, startAfter?: string): Promise<string[]> {
  const options = startAfter === undefined ? {} : { startAfter };
  return (await Array.fromAsync(store.list(prefix, options))).map(({ key }) => key);
}

async function restOf(
  reader: ReadableStreamDefaultReader<Bytes>,
  first: Bytes | undefined,
): Promise<Bytes> {
  const chunks: Bytes[] = first === undefined ? [] : [first];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(chunks).arrayBuffer());
    chunks.push(value);
  }
}

async function inParallel<T>(
  limit: number,
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const queue = [...items];
  await Promise.all(Array.from({ length: limit }, async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  }));
}
