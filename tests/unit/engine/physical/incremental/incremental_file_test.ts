import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import type { Bytes } from "../../../../../src/domain/bytes.ts";
import { IntegrityError } from "../../../../../src/domain/errors.ts";
import {
  incrementalFileBytes,
  incrementalHeader,
  PAGE_BYTES,
  SEGMENT_PAGES,
} from "../../../../../src/engine/physical/incremental/incremental_header.ts";
import {
  incrementalName,
  patchedName,
} from "../../../../../src/engine/physical/incremental/incremental_name.ts";
import { IncrementalReader } from "../../../../../src/engine/physical/incremental/incremental_reader.ts";

const fileOf = fc.record({
  blocks: fc.uniqueArray(
    fc.oneof(fc.nat(40), fc.nat(SEGMENT_PAGES - 1)),
    { maxLength: 12 },
  ).map((numbers) => Uint32Array.from(numbers).sort()),
  truncationBlocks: fc.oneof(fc.nat(50), fc.nat(SEGMENT_PAGES)),
});

type File = typeof fileOf extends fc.Arbitrary<infer T> ? T : never;

function page(block: number): Bytes {
  return new Uint8Array(PAGE_BYTES).map((_, index) => (block * 31 + index * 7) & 0xff);
}

function written({ blocks, truncationBlocks }: File): Bytes {
  const head = incrementalHeader(blocks, truncationBlocks);
  const bytes = new Uint8Array(head.length + blocks.length * PAGE_BYTES);
  bytes.set(head);
  blocks.forEach((block, index) => bytes.set(page(block), head.length + index * PAGE_BYTES));
  return bytes;
}

/** What a reader hears of `bytes` that come in pieces of `piece` bytes. */
function read(bytes: Bytes, piece: number) {
  const pages = new Map<number, Bytes>();
  let length: number | undefined;
  const reader = new IncrementalReader({
    head: (head) => length = head.truncationBlocks,
    write(part, offset) {
      for (let at = 0; at < part.length;) {
        const block = Math.floor((offset + at) / PAGE_BYTES);
        const within = (offset + at) % PAGE_BYTES;
        const some = part.subarray(at, at + PAGE_BYTES - within);
        const target = pages.get(block) ?? new Uint8Array(PAGE_BYTES);
        target.set(some, within);
        pages.set(block, target);
        at += some.length;
      }
    },
  });
  for (let at = 0; at < bytes.length; at += piece) reader.push(bytes.subarray(at, at + piece));
  reader.finish();
  return { pages, length };
}

Deno.test("IncrementalReader reads what incrementalHeader() wrote, in pieces of any length", () => {
  fc.assert(
    fc.property(fileOf, fc.integer({ min: 1, max: 70_000 }), (file, piece) => {
      const bytes = written(file);
      assert.equal(bytes.length, incrementalFileBytes(file.blocks.length));
      const { pages, length } = read(bytes, piece);
      assert.equal(length, file.truncationBlocks);
      assert.deepEqual([...pages.keys()].sort((a, b) => a - b), [...file.blocks]);
      for (const [block, content] of pages) {
        assert.ok(Buffer.compare(content, page(block)) === 0);
      }
    }),
    { numRuns: 40 },
  );
});

Deno.test("IncrementalReader refuses an incremental file cut at any byte of its head or of a page", () => {
  fc.assert(
    fc.property(fileOf, fc.integer({ min: 900, max: 70_000 }), (file, piece) => {
      const bytes = written(file);
      const ends = bytes.length < 100
        ? Array.from({ length: bytes.length }, (_, index) => index)
        : [0, 1, 4, 11, 12, 13, 100, PAGE_BYTES - 1, PAGE_BYTES, bytes.length - 1];
      for (const end of ends) {
        assert.throws(() => read(bytes.slice(0, end), piece), IntegrityError, `cut at ${end}`);
      }
    }),
    { numRuns: 25 },
  );
  const small = written({ blocks: Uint32Array.of(3), truncationBlocks: 9 });
  for (let end = 0; end < small.length; end += 1) {
    assert.throws(() => read(small.slice(0, end), 4096), IntegrityError, `cut at ${end}`);
  }
});

Deno.test("IncrementalReader refuses other magic, pages out of order and bytes behind the end", () => {
  const good = written({ blocks: Uint32Array.of(3, 8), truncationBlocks: 9 });
  const change = (at: number, value: number) => {
    const changed = good.slice();
    new DataView(changed.buffer).setUint32(at, value, true);
    return changed;
  };
  const hostile: readonly (readonly [string, Bytes])[] = [
    ["another magic", change(0, 0xd3ae1f0e)],
    ["more pages than a segment", change(4, SEGMENT_PAGES + 1)],
    ["a longer file than a segment", change(8, SEGMENT_PAGES + 1)],
    ["the same page twice", change(16, 3)],
    ["descending pages", change(12, 9)],
    ["a page outside of a segment", change(16, SEGMENT_PAGES)],
    ["a page more", new Uint8Array([...good, 0])],
  ];
  for (const [name, bytes] of hostile) {
    assert.throws(() => read(bytes, 5000), IntegrityError, name);
  }
});

Deno.test("incrementalHeader() refuses pages that are not ascending or outside of a segment", () => {
  assert.throws(() => incrementalHeader(Uint32Array.of(2, 2), 4), RangeError);
  assert.throws(() => incrementalHeader(Uint32Array.of(SEGMENT_PAGES), 4), RangeError);
  assert.throws(() => incrementalHeader(new Uint32Array(), SEGMENT_PAGES + 1), RangeError);
  assert.throws(() => incrementalHeader(new Uint32Array(), -1), RangeError);
});

Deno.test("incrementalName() and patchedName() are each other's way back", () => {
  assert.equal(incrementalName("base/5/16384.1"), "base/5/INCREMENTAL.16384.1");
  assert.equal(incrementalName("x"), "INCREMENTAL.x");
  assert.equal(patchedName("base/5/INCREMENTAL.16384_vm"), "base/5/16384_vm");
  for (const whole of ["base/5/16384", "INCREMENTAL.", "INCREMENTAL.a/b"]) {
    assert.equal(patchedName(whole), undefined, whole);
  }
  fc.assert(
    fc.property(fc.stringMatching(/^([a-z0-9_]{1,5}\/){0,3}[a-zA-Z0-9_.]{1,12}$/), (path) => {
      assert.equal(patchedName(incrementalName(path)), path);
    }),
  );
});
