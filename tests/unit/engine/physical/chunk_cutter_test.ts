import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { unpackTar } from "modern-tar";
import { BLOCK_BYTES } from "../../../../src/codec/codec.ts";
import type { Bytes } from "../../../../src/domain/bytes.ts";
import { type ChunkBlock, ChunkCutter } from "../../../../src/engine/physical/chunk_cutter.ts";
import { TarReader } from "../../../../src/engine/physical/tar_reader.ts";
import { serverTar } from "../../../support/fake_base_backup.ts";

const PAGE = 8192;
const CHUNK = 3 * BLOCK_BYTES;

const size = fc.oneof(
  fc.integer({ min: 0, max: 3000 }),
  fc.integer({ min: 0, max: 40 }).map((pages) => pages * PAGE),
  fc.integer({ min: -600, max: 600 }).map((off) => BLOCK_BYTES + off),
  fc.integer({ min: -600, max: 600 }).map((off) => CHUNK + off),
);

Deno.test("ChunkCutter makes tars of whole files, in blocks that split no page", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(size, { minLength: 1, maxLength: 12 }), async (sizes) => {
      const files = sizes.map((length, index) => ({
        name: `base/${index}`,
        content: pages(length),
      }));
      const blocks = cut(await serverTar(files));
      for (const { bytes } of blocks) assert.ok(bytes.length <= BLOCK_BYTES);
      const chunks = Map.groupBy(blocks, ({ chunk }) => chunk);
      assert.deepEqual([...chunks.keys()], Array.from(chunks, (_, index) => index + 1));
      const found = await Promise.all([...chunks.values()].map(readChunk));
      assert.deepEqual(found.flat().map(({ name }) => name), files.map(({ name }) => name));
      for (const [index, { content }] of found.flat().entries()) {
        assert.ok(Buffer.compare(content, files[index]?.content ?? new Uint8Array(1)) === 0);
      }
      for (const chunk of found) {
        const total = chunk.reduce((sum, { content }) => sum + content.length, 0);
        if (chunk.some(({ content }) => content.length >= CHUNK)) assert.equal(chunk.length, 1);
        else assert.ok(total < 2 * CHUNK);
      }
      assertWholePages(blocks);
    }),
    { numRuns: 15 },
  );
});

Deno.test("ChunkCutter makes nothing of nothing", () => {
  const cutter = new ChunkCutter(CHUNK);
  cutter.endChunk();
  assert.deepEqual(cutter.take(), []);
});

async function readChunk(
  blocks: readonly ChunkBlock[],
): Promise<{ readonly name: string; readonly content: Uint8Array }[]> {
  assert.deepEqual(blocks.map(({ last }) => last), blocks.map((_, i) => i === blocks.length - 1));
  const tar = Buffer.concat(blocks.map(({ bytes }) => bytes));
  assert.ok(tar.subarray(-1024).every((byte) => byte === 0), "a tar without its end");
  const entries = await unpackTar(new Uint8Array(tar));
  return entries.map(({ header, data }) => ({
    name: header.name,
    content: data ?? new Uint8Array(),
  }));
}

/** Every page of {@link pages} begins with a mark and holds its number: none may be cut. */
function assertWholePages(blocks: readonly ChunkBlock[]): void {
  for (const { bytes } of blocks) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at + 8 <= bytes.length; at += 512) {
      if (view.getUint32(at) !== 0xfeedbeef) continue;
      assert.ok(at + view.getUint32(at + 4) <= bytes.length, `a page at ${at} is split`);
    }
  }
}

/** A file whose pages say how long they are. */
function pages(length: number): Bytes {
  const bytes = new Uint8Array(length).fill(7);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + 8 <= length; at += PAGE) {
    view.setUint32(at, 0xfeedbeef);
    view.setUint32(at + 4, Math.min(PAGE, length - at));
  }
  return bytes;
}

function cut(tar: Bytes): ChunkBlock[] {
  const cutter = new ChunkCutter(CHUNK);
  const reader = new TarReader(cutter);
  const blocks: ChunkBlock[] = [];
  for (let at = 0; at < tar.length; at += 30_000) {
    reader.push(tar.slice(at, at + 30_000));
    blocks.push(...cutter.take());
  }
  reader.finish();
  cutter.endChunk();
  return [...blocks, ...cutter.take()];
}
