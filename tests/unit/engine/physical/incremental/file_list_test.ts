import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import type { Bytes } from "../../../../../src/domain/bytes.ts";
import { IntegrityError } from "../../../../../src/domain/errors.ts";
import { fileChecksum } from "../../../../../src/engine/physical/file_checksum.ts";
import { readFileList } from "../../../../../src/engine/physical/incremental/file_list.ts";
import { mergedManifest } from "../../../../../src/engine/physical/incremental/merge_report.ts";
import { checkedManifest } from "../../../../support/fake_chains.ts";

const MEMBERS = [
  { name: "backup_label", content: "START\n" },
  { name: "base/5/INCREMENTAL.1", content: "pages" },
  { name: 'base/5/ü "quoted"', content: "x" },
  { name: "global/pg_control", content: "control" },
];
const TEXT = checkedManifest(MEMBERS);

async function* inPieces(text: string, piece: number): AsyncGenerator<Bytes> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += piece) yield bytes.slice(at, at + piece);
}

async function textOf(stream: AsyncIterable<Bytes>): Promise<string> {
  return await new Response(ReadableStream.from(stream)).text();
}

Deno.test("readFileList() reads a manifest that comes in pieces of any length", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 700 }), async (piece) => {
      const files = await readFileList(inPieces(TEXT, piece));
      assert.deepEqual([...files.keys()], MEMBERS.map(({ name }) => name));
      const label = files.get("backup_label")!;
      assert.deepEqual([label.size, label.algorithm], [6, "SHA256"]);
      assert.equal(label.checksum, createHash("sha256").update("START\n").digest("hex"));
    }),
    { numRuns: 30 },
  );
});

Deno.test("readFileList() refuses a manifest cut anywhere, with a changed byte, or a file twice", async () => {
  for (let end = 0; end < TEXT.length - 2; end += 7) {
    await assert.rejects(readFileList(inPieces(TEXT.slice(0, end), 300)), /has no end|no sense/);
  }
  const size = TEXT.replace('"Size": 6', '"Size": 7');
  await assert.rejects(readFileList(inPieces(size, 300)), /its own checksum is another one/);
  const twice = checkedManifest([...MEMBERS, MEMBERS[0]!]);
  await assert.rejects(readFileList(inPieces(twice, 300)), /twice/);
  const negative = TEXT.replace('"Size": 6', '"Size": -6');
  await assert.rejects(readFileList(inPieces(negative, 300)), IntegrityError);
});

Deno.test("readFileList() leaves out what a backup does not store and the WAL", async () => {
  const more = [{ name: "standby.signal", content: "" }, { name: "postmaster.opts", content: "" }];
  const files = await readFileList(inPieces(checkedManifest([...MEMBERS, ...more]), 300));
  assert.equal(files.size, MEMBERS.length);
});

Deno.test("mergedManifest() replaces the lines of changed files and stays whole", async () => {
  const changed = new Map([
    ["backup_label", { bytes: 3, checksum: "ab" }],
    ["base/5/1", { bytes: 8192, checksum: "cd" }],
  ]);
  for (const piece of [1, 50, 100_000]) {
    const text = await textOf(mergedManifest(inPieces(TEXT, piece), changed));
    const files = await readFileList(inPieces(text, 77));
    assert.deepEqual([...files.keys()], [
      "backup_label",
      "base/5/1",
      ...MEMBERS.slice(2).map(({ name }) => name),
    ]);
    assert.deepEqual(files.get("base/5/1"), { size: 8192, algorithm: "SHA256", checksum: "cd" });
    JSON.parse(text);
  }
});

Deno.test("fileChecksum() computes CRC-32C as PostgreSQL's manifests have it", () => {
  const digest = (bytes: Bytes, piece: number) => {
    const checksum = fileChecksum("CRC32C");
    for (let at = 0; at < bytes.length; at += piece) {
      checksum.update(bytes.subarray(at, at + piece));
    }
    return checksum.digest();
  };
  // RFC 3720, B.4: 32 bytes of zeros have aa 36 91 8a, of ones 43 ab a8 62.
  assert.equal(digest(new Uint8Array(32), 5), "aa36918a");
  assert.equal(digest(new Uint8Array(32).fill(255), 32), "43aba862");
  assert.equal(digest(new TextEncoder().encode("123456789"), 2), "839206e3");
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 90 }),
      fc.integer({ min: 1, max: 40 }),
      (bytes, piece) => {
        assert.equal(digest(new Uint8Array(bytes), piece), slowCrc32c(bytes));
      },
    ),
  );
});

/** Bit by bit. */
function slowCrc32c(bytes: Uint8Array): string {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  const found = new Uint8Array(4);
  new DataView(found.buffer).setInt32(0, ~crc, true);
  return found.toHex();
}
