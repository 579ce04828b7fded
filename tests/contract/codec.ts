/** What every codec must do. A test file calls {@link codecContract} for each of them. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import type { Codec, CodecPool, CodecSpec, StoredForm } from "../../src/codec/codec.ts";
import { BLOCK_BYTES, formatCodec } from "../../src/codec/codec.ts";
import type { Bytes } from "../../src/domain/bytes.ts";
import { IntegrityError } from "../../src/domain/errors.ts";

/** Tests one algorithm and level; `open` makes the pool that each test closes. */
export function codecContract(spec: CodecSpec, open: () => CodecPool): void {
  const test = tester(formatCodec(spec), { spec, open });
  test("encode() and decode() give back any length around the blocks' bounds", roundTrips);
  test("encode({ cut: false }) keeps the blocks that it is given", keepsBlocks);
  test("encode() makes one block of no bytes, which decode() opens", emptyInput);
  test("encode() output is opened whole by the standard program", standardProgram);
  test("decode() refuses an object cut short at every byte", truncations);
  test("decode() refuses an object with any bit flipped", bitFlips);
  test("decode() without expectations never hands out wrong bytes", silentFlips);
  test("decode() refuses blocks in another order", swappedBlocks);
  test("decode() refuses more stored or raw bytes than expected", longerObjects);
  test("decode() refuses an empty object", emptyObject);
  test("encode() and decode() end when the signal says so", aborts);
  test("encode() passes on the failure of its source", failingSource);
}

/** What of it holds for a codec that encrypts; faults of every kind have tests of their own. */
export function sealedCodecContract(spec: CodecSpec, open: () => CodecPool): void {
  const test = tester(`encrypted ${formatCodec(spec)}`, { spec, open });
  test("encode() and decode() give back any length around the blocks' bounds", roundTrips);
  test("encode({ cut: false }) keeps the blocks that it is given", keepsBlocks);
  test("encode() makes one block of no bytes, which decode() opens", emptyInput);
  test("decode() refuses an object cut short at every byte", truncations);
  test("decode() refuses two objects in one", swappedBlocks);
  test("decode() refuses an empty object", emptyObject);
  test("encode() passes on the failure of its source", failingSource);
}

function tester(
  name: string,
  { spec, open }: { readonly spec: CodecSpec; readonly open: () => CodecPool },
) {
  return (title: string, run: (codec: Codec) => Promise<void>) =>
    Deno.test(`${name} ${title}`, async () => {
      const pool = open();
      try {
        await run(pool.codec(spec));
      } finally {
        pool.close();
      }
    });
}

async function roundTrips(codec: Codec): Promise<void> {
  const bound = fc.constantFrom(0, 1, 2, 3).chain((blocks) =>
    fc.integer({ min: -2, max: 2 }).map((off) => Math.max(0, blocks * BLOCK_BYTES + off))
  );
  const shape = fc.record({ size: bound, seed: fc.integer(), piece: fc.integer({ min: 1000 }) });
  await fc.assert(
    fc.asyncProperty(shape, async ({ size, seed, piece }) => {
      const raw = sample(size, seed);
      const stored = await through(pieces(raw, 1 + piece % 300_000), codec.encode());
      const expected = storedForm(stored, raw);
      const back = await through(pieces(stored, 1 + piece % 50_000), codec.decode({ expected }));
      assert.ok(equal(back, raw), `${size} bytes differ`);
    }),
    { numRuns: 12 },
  );
}

async function keepsBlocks(codec: Codec): Promise<void> {
  const blocks = [sample(8192, 1), sample(1, 2), sample(BLOCK_BYTES, 3), sample(100, 4)];
  const raw = join(blocks);
  const lengths = blocks.map((block) => block.length);
  const stored = await through(ReadableStream.from(blocks), codec.encode({ cut: false }));
  const opened: number[] = [];
  for await (const block of pieces(stored, 7000).pipeThrough(codec.decode())) {
    opened.push(block.length);
  }
  assert.deepEqual(opened, lengths);
  assert.ok(equal(await through(pieces(stored, 999), codec.decode()), raw));
}

async function emptyInput(codec: Codec): Promise<void> {
  const stored = await through(pieces(new Uint8Array(0), 1), codec.encode());
  assert.ok(stored.length > 0);
  assert.equal((await through(pieces(stored, 5), codec.decode())).length, 0);
}

async function standardProgram(codec: Codec): Promise<void> {
  const [name, ...args] = codec.spec.algorithm === "zstd" ? ["zstd", "-dc"] : ["gunzip", "-c"];
  for (const size of [0, 1, BLOCK_BYTES, 3 * BLOCK_BYTES + 17]) {
    const raw = sample(size, size);
    const stored = await through(pieces(raw, 65_536), codec.encode());
    const child = new Deno.Command(name ?? "", {
      args,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const feeding = pieces(stored, 65_536).pipeTo(child.stdin);
    const { success, stdout } = await child.output();
    await feeding;
    assert.ok(success, `${name} failed on ${size} bytes`);
    assert.ok(equal(stdout, raw), `${name} gave other bytes for ${size} bytes`);
  }
}

async function truncations(codec: Codec): Promise<void> {
  const { stored, expected } = await smallObject(codec);
  for (let length = 0; length < stored.length; length++) {
    const cut = stored.slice(0, length);
    await assert.rejects(
      through(pieces(cut, 64), codec.decode({ expected })),
      IntegrityError,
      `cut at ${length} of ${stored.length}`,
    );
  }
}

async function bitFlips(codec: Codec): Promise<void> {
  const { stored, expected } = await smallObject(codec);
  for (let index = 0; index < stored.length; index++) {
    const bad = flipped(stored, index, index % 8);
    await assert.rejects(
      through(pieces(bad, 64), codec.decode({ expected })),
      IntegrityError,
      `byte ${index} of ${stored.length}`,
    );
  }
}

async function silentFlips(codec: Codec): Promise<void> {
  const { stored, raw } = await smallObject(codec);
  for (let index = 0; index < stored.length; index++) {
    const bad = flipped(stored, index, 7 - index % 8);
    const back = await through(pieces(bad, 64), codec.decode()).catch((error) => {
      assert.ok(error instanceof IntegrityError, `byte ${index}: ${error}`);
      return raw;
    });
    assert.ok(equal(back, raw), `byte ${index} of ${stored.length} gave other bytes`);
  }
}

async function swappedBlocks(codec: Codec): Promise<void> {
  const blocks = [sample(500, 1), sample(500, 2)];
  const [first, second] = await Promise.all(
    blocks.map((block) => through(pieces(block, 500), codec.encode())),
  );
  assert.ok(first && second);
  const expected = storedForm(join([first, second]), join(blocks));
  const swapped = join([second, first]);
  assert.equal(swapped.length, expected.storedBytes);
  await assert.rejects(through(pieces(swapped, 64), codec.decode({ expected })), IntegrityError);
}

async function longerObjects(codec: Codec): Promise<void> {
  const { stored, raw, expected } = await smallObject(codec);
  const twice = join([stored, stored]);
  await assert.rejects(
    through(pieces(twice, 64), codec.decode({ expected })),
    /longer than its/,
  );
  const less = { ...storedForm(twice, raw), rawBytes: raw.length };
  await assert.rejects(
    through(pieces(twice, 64), codec.decode({ expected: less })),
    /more than its/,
  );
  const more = { ...expected, rawBytes: raw.length + 1 };
  await assert.rejects(
    through(pieces(stored, 64), codec.decode({ expected: more })),
    IntegrityError,
  );
}

async function emptyObject(codec: Codec): Promise<void> {
  await assert.rejects(through(pieces(new Uint8Array(0), 1), codec.decode()), IntegrityError);
}

async function aborts(codec: Codec): Promise<void> {
  for (const direction of ["encode", "decode"] as const) {
    const stop = new AbortController();
    const reason = new Error(`stop ${direction}`);
    const one = await through(pieces(sample(5000, 1), 5000), codec.encode());
    let given = 0;
    const endless = new ReadableStream<Bytes>({
      pull(controller) {
        if (++given === 20) stop.abort(reason);
        controller.enqueue(one.slice());
      },
    });
    await assert.rejects(
      through(endless, codec[direction]({ signal: stop.signal })),
      (error) => error === reason,
    );
  }
}

async function failingSource(codec: Codec): Promise<void> {
  const failure = new Error("the source broke");
  async function* source(): AsyncGenerator<Bytes> {
    for (let count = 0; count < 8; count++) yield sample(BLOCK_BYTES, count);
    await Promise.resolve();
    throw failure;
  }
  await assert.rejects(
    through(ReadableStream.from(source()), codec.encode()),
    (error) => error === failure,
  );
}

/** An object of five small blocks, so that every byte of it can be tried. */
async function smallObject(
  codec: Codec,
): Promise<{ readonly stored: Bytes; readonly raw: Bytes; readonly expected: StoredForm }> {
  const blocks = [0, 1, 2, 3, 4].map((seed) => sample(30 + 20 * seed, seed));
  const raw = join(blocks);
  const stored = await through(ReadableStream.from(blocks), codec.encode({ cut: false }));
  return { stored, raw, expected: storedForm(stored, raw) };
}

function storedForm(stored: Bytes, raw: Bytes): StoredForm {
  const sha256 = createHash("sha256").update(stored).digest("hex");
  return { storedBytes: stored.length, rawBytes: raw.length, sha256 };
}

async function through(
  source: ReadableStream<Bytes>,
  transform: TransformStream<Bytes, Bytes>,
): Promise<Bytes> {
  return join(await Array.fromAsync(source.pipeThrough(transform)));
}

function pieces(bytes: Bytes, size: number): ReadableStream<Bytes> {
  function* cut(): Generator<Bytes> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
  }
  return ReadableStream.from(cut());
}

function join(parts: readonly Bytes[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function flipped(bytes: Bytes, index: number, bit: number): Bytes {
  const copy = bytes.slice();
  copy[index] = (copy[index] ?? 0) ^ (1 << bit);
  return copy;
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((value, index) => value === right[index]);
}

/** Bytes that compress somewhat, the same for the same seed. */
function sample(size: number, seed: number): Bytes {
  const bytes = new Uint8Array(size);
  let state = (seed | 0) || 1;
  for (let index = 0; index < size; index++) {
    state = (Math.imul(state, 1103515245) + 12345) | 0;
    bytes[index] = index % 64 < 40 ? 65 : (state >>> 16) & 0xff;
  }
  return bytes;
}
