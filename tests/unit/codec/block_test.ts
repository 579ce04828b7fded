import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import * as zlib from "node:zlib";
import { BLOCK_BYTES, BlockReader, decodeBlock, encodeBlock } from "../../../src/codec/codec.ts";
import { type Bytes, MiB } from "../../../src/domain/bytes.ts";
import { IntegrityError } from "../../../src/domain/errors.ts";

const specs = [
  { algorithm: "zstd", level: 1 },
  { algorithm: "gzip", level: 6 },
  { algorithm: "gzip", level: 1 },
  { algorithm: "gzip", level: 9 },
] as const;

for (const spec of specs) {
  const { algorithm, level } = spec;
  Deno.test(`encodeBlock() of ${algorithm}:${level} opens what hardly compresses`, async () => {
    for (const raw of [randomBytes(BLOCK_BYTES), deceptiveBytes(BLOCK_BYTES), randomBytes(1)]) {
      const block = await encodeBlock(spec, raw);
      assert.ok(block.length < raw.length + raw.length / 8 + 1024, `${block.length}`);
      assert.ok(Buffer.compare(decodeBlock(algorithm, block), raw) === 0);
    }
  });

  Deno.test(`encodeBlock() of ${algorithm}:${level} refuses more than a block`, async () => {
    await assert.rejects(encodeBlock(spec, new Uint8Array(BLOCK_BYTES + 1)), RangeError);
  });

  Deno.test(`decodeBlock() of ${algorithm}:${level} refuses a block with a byte too many or few`, async () => {
    const block = await encodeBlock(spec, randomBytes(100));
    assert.throws(() => decodeBlock(algorithm, block.slice(0, -1)), IntegrityError);
    assert.throws(() => decodeBlock(algorithm, new Uint8Array([...block, 0])), IntegrityError);
  });
}

Deno.test("decodeBlock() stops at a bomb that hides behind a small promise", () => {
  const bomb = zlib.zstdCompressSync(new Uint8Array(256 * MiB));
  for (const promised of [0, 100, BLOCK_BYTES]) {
    const block = zstdBlock(bomb, promised);
    assert.throws(() => decodeBlock("zstd", block), stoppedEarly);
  }
  const deflated = zlib.deflateRawSync(new Uint8Array(64 * MiB));
  assert.throws(() => decodeBlock("gzip", gzipBlock(deflated, BLOCK_BYTES)), stoppedEarly);
});

Deno.test("BlockReader refuses lengths that no block may have before it allocates them", () => {
  for (const [stored, raw] of [[10, 0xffffffff], [0xffffffff, 10], [0, 0]] as const) {
    const block = zstdBlock(new Uint8Array(0), raw);
    new DataView(block.buffer).setUint32(8, stored, true);
    assert.throws(() => [...new BlockReader("zstd").push(block)], IntegrityError);
  }
});

Deno.test("BlockReader splits blocks whatever the pieces are", async () => {
  const spec = { algorithm: "zstd", level: 1 } as const;
  const blocks = await Promise.all([10, 2000, 0, 70].map((n) => encodeBlock(spec, randomBytes(n))));
  const whole = new Uint8Array(Buffer.concat(blocks));
  for (const size of [1, 15, 16, 17, 100, whole.length]) {
    const reader = new BlockReader("zstd");
    const found: Bytes[] = [];
    for (let at = 0; at < whole.length; at += size) {
      for (const block of reader.push(whole.subarray(at, at + size))) found.push(block.bytes);
    }
    reader.end();
    assert.deepEqual(found.map(String), blocks.map(String));
  }
});

/** While the bytes were made, not by their number afterwards. */
function stoppedEarly(error: unknown): boolean {
  return error instanceof IntegrityError && /cannot be decompressed/.test(error.message);
}

function zstdBlock(frame: Uint8Array, rawBytes: number): Bytes {
  const block = new Uint8Array(16 + frame.length);
  block.set([0x50, 0x2a, 0x4d, 0x18, 8]);
  new DataView(block.buffer).setUint32(8, frame.length, true);
  new DataView(block.buffer).setUint32(12, rawBytes, true);
  block.set(frame, 16);
  return block;
}

function gzipBlock(deflated: Uint8Array, rawBytes: number): Bytes {
  const block = new Uint8Array(32 + deflated.length);
  block.set([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 12, 0, 0x42, 0x4b, 8, 0]);
  new DataView(block.buffer).setUint32(16, block.length, true);
  new DataView(block.buffer).setUint32(20, rawBytes, true);
  block.set(deflated, 24);
  return block;
}

function randomBytes(size: number): Bytes {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
}

/** Bytes that fast deflate takes for compressible, and that grow by a twentieth. */
function deceptiveBytes(size: number): Bytes {
  const bytes = new Uint8Array(size);
  let state = 1;
  for (let index = 0; index < size; index++) {
    state = (Math.imul(state, 1103515245) + 12345) | 0;
    bytes[index] = state >>> 16;
  }
  return bytes;
}
