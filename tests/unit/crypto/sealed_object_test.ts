/** What was sealed opens under its own name, whole, in order and unchanged, or not at all. */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  generateIdentity,
  KeyRing,
  newDataKey,
  ObjectOpener,
  ObjectSealer,
  readSealHeader,
} from "../../../src/crypto/crypto.ts";
import { type Bytes, discard, MiB } from "../../../src/domain/bytes.ts";
import { IntegrityError, KeyError, RepositoryError } from "../../../src/domain/errors.ts";
import { isSealed } from "../../../src/domain/sealed_form.ts";
import { campaignSeed, reportCampaign, trials } from "../../support/campaign.ts";

const NAME = "main/7345678901234567890/backups/20261123T022415Z-F/chunks/0001.tar.zst";
/** Whole objects are cut into frames of this size. */
const FRAME = 2 * MiB;
const RUNS = trials({ full: 20_000, usual: 400 });

const { identity, recipient } = await generateIdentity();
const dataKey = await newDataKey([recipient]);
const sealer = new ObjectSealer(() => Promise.resolve(dataKey));
const opener = new ObjectOpener(new KeyRing({ identities: () => Promise.resolve([identity]) }));

/** Made before the tag stood behind the JSON. */
const FIRST_FORM = {
  identity: "AGE-SECRET-KEY-1EHPGNX0NFYTLUJ2USWAL7G9GAANJ2CNJU6YCRWQ76RX5ZWZ273MSDRZEH3",
  object:
    "iUJDU0VBTAElAgAAeyJrZXlJZCI6IjViZjY2ZjIzNGI5ZTgwMWU5MDNiMWQyYWI4ZDcwZWE1Iiwic3RlcCI6MCwic2" +
    "FsdCI6Ijg3OWFmOTNjNzkwYWNhZTZjM2U1MzcxM2M0ODUxYWMxNGNiMTMxNGYxZGYzMmRhYWVhYjlhMmE0ZDg2ZTll" +
    "ZTEiLCJ3cmFwcGVkIjoiWVdkbExXVnVZM0o1Y0hScGIyNHViM0puTDNZeENpMCtJRmd5TlRVeE9TQnlOVFV4YzFkUl" +
    "VXaHdSM0ZIT1RZeFZXSXljME5TTmpWbVQyMXhOMDR4Um5KRVJWRlRkMmh5UTBWekNqVTJWemhDVkZSdE1pOVFPVUYx" +
    "Y2pCVWFFWjRUV3hZY0V0cE9UbGxWMHRpUlRkTGQwNHlPRmhDV2xrS0xTMHRJRzUwZWxjNVpFOUZTek5YYnpkaWFtNX" +
    "VXbWh5U1d4MmRtRjVObFF3UVU5VmRsQm5TVU5DVjFZNWFWa0t6MGE4TkozVzJPa1RNdUpwZEd0eGk5OWJlV0xSOTBI" +
    "YWZIQ01NS25vYmFRRkh2Vmx3RnJodDEwTkkzNzc3VzFCZUFhRCtTK0Q4bnd1M01idnhkTVlTZz09IiwidGFnIjoiMD" +
    "EyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZiIsInRl" +
    "eHQiOiIxXHQwLzMwMDAxMTBcbiJ9IQAAgOqUWGS0UlJu8zZAqf67NQRx6dbfEOiJDyBHqG9X8QtJb78nOOFf2E0Kq+" +
    "q8ebCwv1E=",
};

/** Pieces as they come from a store. */
function pieces(bytes: Bytes, size: number): ReadableStream<Bytes> {
  return ReadableStream.from((function* () {
    for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
  })());
}

async function all(stream: ReadableStream<Bytes>): Promise<Bytes> {
  return await new Response(stream).bytes();
}

function sample(length: number): Bytes {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
}

Deno.test("seal() and open() give back any length around the frames' bounds", async () => {
  for (const length of [0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 5 * MiB + 17]) {
    const plain = sample(length);
    const sealed = await sealer.seal(NAME, plain);
    assert.ok(isSealed(sealed));
    assert.deepEqual(Buffer.compare(await opener.open(NAME, sealed), plain), 0, `${length}`);
  }
});

Deno.test("stream() takes chunks of any size and opens in pieces of any size", async () => {
  const chunks = fc.array(fc.integer({ min: 0, max: 3 * MiB }), { maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(chunks, fc.integer({ min: 9_000, max: 300_000 }), async (lengths, size) => {
      const plain = lengths.map(sample);
      const sealed = await all(ReadableStream.from(plain).pipeThrough(sealer.stream(NAME)));
      const back = await all(pieces(sealed, size).pipeThrough(opener.stream(NAME)));
      assert.equal(Buffer.compare(back, Buffer.concat(plain)), 0);
    }),
    { numRuns: 10 },
  );
});

const TAG = "5a".repeat(32);

/** Frames, and a tag that is known last. */
async function tagged(parts: readonly Bytes[], text = "1\t0/3000000\n"): Promise<Bytes> {
  const held = await sealer.hold(NAME, { text, tagged: true });
  for (const part of parts) held.push(part);
  return await held.end({ tag: TAG });
}

Deno.test("hold() seals what comes, and brings its tag at the end", async () => {
  for (const lengths of [[], [0], [1], [FRAME, 5], [2 * MiB, 0, 7, 2 * MiB]]) {
    const parts = lengths.map(sample);
    const sealed = await tagged(parts);
    assert.equal(Buffer.compare(await opener.open(NAME, sealed), Buffer.concat(parts)), 0);
    const { header, bytes } = readSealHeader(sealed)!;
    assert.equal(header.tag, TAG);
    assert.equal(header.text, "1\t0/3000000\n");
    assert.deepEqual([...sealed.subarray(bytes - 32, bytes)], Array(32).fill(0x5a));
    const back = await all(pieces(sealed, 13).pipeThrough(opener.stream(NAME)));
    assert.equal(Buffer.compare(back, Buffer.concat(parts)), 0);
  }
});

Deno.test("a tag that was changed, and none where one stood, open nothing", async () => {
  const sealed = await tagged([sample(100)]);
  const { bytes } = readSealHeader(sealed)!;
  for (let at = bytes - 32; at < bytes; at++) {
    const changed = sealed.slice();
    changed[at]! ^= 1;
    await assert.rejects(opener.open(NAME, changed), IntegrityError);
  }
  const without = put(sealed.slice(0, bytes - 32), [sealed.slice(bytes)]);
  without[7] = 1;
  await assert.rejects(opener.open(NAME, without), IntegrityError);
});

Deno.test("hold() keeps nobody from using what it was given", async () => {
  const held = await sealer.hold(NAME, { tagged: true });
  const changed = sample(1000);
  held.push(changed);
  changed.fill(0);
  const gone = sample(MiB);
  held.push(gone);
  discard(gone);
  const plain = await opener.open(NAME, await held.end({ tag: TAG }));
  assert.equal(Buffer.compare(plain, Buffer.concat([sample(1000), sample(MiB)])), 0);
});

Deno.test("an object of the first form, its tag in the JSON, opens as before", async () => {
  const ring = new KeyRing({ identities: () => Promise.resolve([FIRST_FORM.identity]) });
  const object = new Uint8Array(Buffer.from(FIRST_FORM.object, "base64"));
  const name = "main/1/wal/00000002.history";
  const plain = new TextEncoder().encode("1\t0/3000110\tbefore the migration\n");
  assert.deepEqual(await new ObjectOpener(ring).open(name, object), plain);
  const { header: { tag, text } } = readSealHeader(object)!;
  assert.deepEqual({ tag, text }, { tag: "0123456789abcdef".repeat(4), text: "1\t0/3000110\n" });
});

Deno.test("two objects of the same bytes have nothing in common but the wrapped key", async () => {
  const plain = sample(5000);
  const [one, two] = [await sealer.seal(NAME, plain), await sealer.seal(NAME, plain)];
  const body = (sealed: Bytes) => sealed.subarray(readSealHeader(sealed)!.bytes + 4);
  const same = body(one).filter((byte, at) => byte === body(two)[at]).length;
  assert.ok(same < 5000 * 0.02, `${same} bytes are equal`);
});

Deno.test("open() refuses an object under another name", async () => {
  const sealed = await sealer.seal(NAME, sample(100));
  for (const name of ["", NAME.toUpperCase(), `${NAME} `, NAME.replace("0001", "0002")]) {
    await assert.rejects(opener.open(name, sealed), IntegrityError);
  }
});

/** The frames of a sealed object, as they are stored, and its header. */
function taken(sealed: Bytes): { readonly header: Bytes; readonly frames: Bytes[] } {
  const start = readSealHeader(sealed)!.bytes;
  const frames: Bytes[] = [];
  const view = new DataView(sealed.buffer, sealed.byteOffset);
  for (let at = start; at < sealed.length;) {
    const length = 4 + (view.getUint32(at, true) & 0x7fffffff) + 16;
    frames.push(sealed.slice(at, at + length));
    at += length;
  }
  return { header: sealed.slice(0, start), frames };
}

function put(header: Bytes, frames: readonly Bytes[]): Bytes {
  return new Uint8Array(Buffer.concat([header, ...frames]));
}

Deno.test("open() refuses frames that are missing, doubled, swapped or another object's", async () => {
  const { header, frames } = taken(await sealer.seal(NAME, sample(3 * FRAME + 5)));
  const other = taken(await sealer.seal(NAME, sample(3 * FRAME + 5)));
  const [one, two, three, last] = frames as [Bytes, Bytes, Bytes, Bytes];
  assert.equal((await opener.open(NAME, put(header, frames))).length, 3 * FRAME + 5);
  const marked = three.slice();
  marked[3]! |= 0x80; // "the last one"
  const changed: readonly (readonly [what: string, object: Bytes])[] = [
    ["without its first frame", put(header, [two, three, last])],
    ["without its last frame", put(header, [one, two, three])],
    ["ended early by a flag", put(header, [one, two, marked])],
    ["with frames swapped", put(header, [two, one, three, last])],
    ["with a frame doubled", put(header, [one, one, two, three, last])],
    ["with a frame of another object", put(header, [one, other.frames[1]!, three, last])],
    ["with the header of another object", put(other.header, frames)],
    ["with its end twice", put(header, [...frames, last])],
    ["without any frame", put(header, [])],
    ["with a byte behind it", put(header, [...frames, new Uint8Array(1)])],
  ];
  for (const [what, object] of changed) {
    await assert.rejects(opener.open(NAME, object), IntegrityError, what);
  }
});

Deno.test(`open() refuses ${RUNS} objects with a bit flipped, cut short or lengthened`, async () => {
  const plain = sample(3000);
  const sealed = await tagged([plain.subarray(0, 1000), plain.subarray(1000)]);
  const seed = campaignSeed();
  const change = fc.oneof(
    { weight: 6, arbitrary: fc.record({ flip: fc.nat(sealed.length * 8 - 1) }) },
    { weight: 3, arbitrary: fc.record({ cut: fc.nat(sealed.length - 1) }) },
    { weight: 1, arbitrary: fc.record({ add: fc.uint8Array({ minLength: 1, maxLength: 40 }) }) },
  );
  await fc.assert(
    fc.asyncProperty(change, async (how) => {
      let object: Bytes = sealed.slice();
      if ("flip" in how) object[how.flip >> 3]! ^= 1 << (how.flip & 7);
      else if ("cut" in how) object = object.slice(0, how.cut);
      else object = put(object, [new Uint8Array(how.add)]);
      // A key that does not open, a newer form, or damage: never bytes.
      await assert.rejects(
        opener.open(NAME, object),
        (error) =>
          error instanceof IntegrityError || error instanceof KeyError ||
          error instanceof RepositoryError,
      );
    }),
    { numRuns: RUNS, seed },
  );
  reportCampaign({
    what: "encrypted objects with a bit flipped, cut or lengthened: none opens",
    ...{ n: RUNS, seed, outcome: "0 opened" },
  });
});

Deno.test("stream() hands out no byte of a frame before it was authenticated", async () => {
  const sealed = await sealer.seal(NAME, sample(2 * FRAME));
  sealed[sealed.length - 1]! ^= 1;
  let length = 0;
  await assert.rejects(async () => {
    for await (const bytes of pieces(sealed, 70_000).pipeThrough(opener.stream(NAME))) {
      length += bytes.length;
    }
  }, IntegrityError);
  assert.equal(length, FRAME);
});

Deno.test("open() refuses a step that would keep it busy", async () => {
  const { header, frames } = taken(await sealer.seal(NAME, sample(10)));
  const json = JSON.parse(new TextDecoder().decode(header.subarray(12)));
  for (const step of [1e9, -1, 0.5, "7", 100_001]) {
    const text = new TextEncoder().encode(JSON.stringify({ ...json, step }));
    const head = new Uint8Array(12 + text.length);
    head.set(header.subarray(0, 8));
    new DataView(head.buffer).setUint32(8, text.length, true);
    head.set(text, 12);
    await assert.rejects(opener.open(NAME, put(head, frames)), IntegrityError);
  }
});
