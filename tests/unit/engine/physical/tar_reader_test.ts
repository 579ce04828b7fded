import assert from "node:assert/strict";
import fc from "fast-check";
import type { Bytes } from "../../../../src/domain/bytes.ts";
import { IntegrityError } from "../../../../src/domain/errors.ts";
import { TarReader } from "../../../../src/engine/physical/tar_reader.ts";
import { serverTar } from "../../../support/fake_base_backup.ts";

const members = [
  { name: "empty", content: "" },
  { name: "base/" },
  { name: "base/1", content: "x" },
  { name: "base/512", content: "y".repeat(512) },
  { name: "base/513", content: "z".repeat(513) },
];
const expected = ["empty=", "base=", "base/1=x", `base/512=${"y".repeat(512)}`].concat(
  `base/513=${"z".repeat(513)}`,
);

Deno.test("TarReader hands on the same members whatever the pieces are", async () => {
  const tar = await serverTar(members);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1 }), (lengths) => {
      assert.deepEqual(read(tar, lengths), expected);
    }),
    { numRuns: 100 },
  );
});

Deno.test("TarReader takes zeros behind the last member, and nothing else", async () => {
  const tar = await serverTar(members);
  const ended = new Uint8Array([...tar, ...new Uint8Array(2048)]);
  assert.deepEqual(read(ended, [700]), expected);
  const more = new Uint8Array([...ended, ...tar]);
  assert.throws(() => read(more, [700]), /behind the archive's end/);
});

Deno.test("TarReader refuses a tar that is cut short anywhere but between members", async () => {
  const tar = await serverTar(members);
  const bounds = new Set([0, 512, 1024, 2048, 3072, tar.length]);
  for (let length = 0; length <= tar.length; length++) {
    const cut = tar.slice(0, length);
    if (bounds.has(length)) read(cut, [100]);
    else assert.throws(() => read(cut, [100]), IntegrityError, `cut at ${length}`);
  }
});

/** Reads in pieces of these lengths, over and over. */
function read(tar: Bytes, lengths: readonly number[]): string[] {
  const found: string[] = [];
  let text = "";
  const reader = new TarReader({
    begin: ({ name }) => text = `${name}=`,
    content: (bytes) => text += new TextDecoder().decode(bytes),
    end: () => found.push(text),
  });
  for (let at = 0, turn = 0; at < tar.length; turn++) {
    const length = lengths[turn % lengths.length] ?? 1;
    reader.push(tar.slice(at, at + length));
    at += length;
  }
  reader.finish();
  return found;
}
