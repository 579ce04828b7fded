/**
 * What {@link ObjectStore.copy} must do. Each of these gets an empty store.
 *
 * @module
 */
import { deepStrictEqual as equal, ok, rejects } from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Bytes } from "../../src/domain/bytes.ts";
import { ObjectExistsError } from "../../src/domain/errors.ts";
import type { CopyOptions, ObjectInfo, ObjectStore } from "../../src/storage/storage.ts";
import { bytesOf, content, streamOf, text } from "../support/bodies.ts";

type Copy = NonNullable<ObjectStore["copy"]>;

/** The tests, by title. `bigBytes`: a body of this length is stored in several parts. */
export function copies(
  bigBytes: number,
): Record<string, (store: ObjectStore) => Promise<void>> {
  return {
    "copy() stores the same bytes under another key, whole objects and those of parts": async (
      store,
    ) => {
      if (!store.copy) return;
      const copy = copyOf(store);
      for (const length of [0, 1, 70_000, bigBytes]) {
        const bytes = content(length);
        const put = await store.put(`from/a b+c ü/${length}`, streamOf(bytes));
        const info = await copy(`from/a b+c ü/${length}`, `to/${length}`, known(bytes, put));
        if ((await store.head(`from/a b+c ü/${length}`))?.etag !== put.etag) {
          // rclone answers an upload in parts with another etag than it tells later.
          equal([info, await store.head(`to/${length}`)], [undefined, undefined]);
          continue;
        }
        equal(info?.key, `to/${length}`);
        equal(info?.size, length);
        const head = await store.head(`to/${length}`);
        equal(head?.etag, info?.etag);
        // rclone adds a time of its own to whatever it copies.
        const { mtime: _, ...metadata } = head?.metadata ?? {};
        equal(metadata, {});
        ok(Buffer.compare(await bytesOf(await store.get(`to/${length}`)), bytes) === 0);
      }
    },
    "copy() outlives its source, and can be copied itself": async (store) => {
      if (!store.copy) return;
      const copy = copyOf(store);
      const bytes = content(5_000);
      const first = await store.put("first", bytes);
      const second = await copy("first", "second", known(bytes, first));
      await store.delete(["first"]);
      ok(second);
      ok(await copy("second", "third", known(bytes, second)));
      equal(await bytesOf(await store.get("third")), bytes);
    },
    "copy() stores nothing of an object that is not certainly the one": async (store) => {
      if (!store.copy) return;
      const copy = copyOf(store);
      const bytes = content(5_000);
      const other = content(5_000, 2);
      const put = await store.put("from", bytes);
      const { size, sha256 } = known(bytes, put);
      const { etag: _none, ...withoutEtag } = known(other, put);
      equal(await copy("absent", "to", { size, sha256, ...etagOf(put) }), undefined);
      equal(await copy("from", "to", { size: size - 1, sha256, ...etagOf(put) }), undefined);
      equal(await copy("from", "to", withoutEtag), undefined);
      // Replaced by bytes of the same length: the hash that is asked for is the first ones'.
      await store.put("from", other);
      equal(await copy("from", "to", { size, sha256, ...etagOf(put) }), undefined);
      await store.delete(["from"]);
      equal(await copy("from", "to", { size, sha256, ...etagOf(put) }), undefined);
      equal(await store.head("to"), undefined);
    },
    "copy() replaces nothing": async (store) => {
      if (!store.copy) return;
      const copy = copyOf(store);
      const put = await store.put("from", text("new"));
      await store.put("to", text("old"));
      await rejects(copy("from", "to", known(text("new"), put)), ObjectExistsError);
      equal(await bytesOf(await store.get("to")), text("old"));
    },
  };
}

function copyOf(store: ObjectStore): Copy {
  return store.copy!.bind(store);
}

function known(bytes: Bytes, put: ObjectInfo): CopyOptions {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { size: bytes.length, sha256, ...etagOf(put) };
}

function etagOf({ etag }: ObjectInfo): { readonly etag?: string } {
  return etag === undefined ? {} : { etag };
}
