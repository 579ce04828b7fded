import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { joinBytes } from "../../../../src/domain/bytes.ts";
import {
  backupManifestText,
  manifestEntries,
  type ManifestFile,
} from "../../../../src/postgres/files/backup_manifest_text.ts";

const FACTS = { timeline: 3, startLsn: 0x1_0000_0028n, stopLsn: 0x1_0000_0100n };

function file(index: number): ManifestFile {
  const path = `base/5/ü"${index}`;
  return { path, size: index * 8192, modifiedAt: 1_700_000_000_000, sha256: "ab".repeat(32) };
}

function manifest(groups: readonly (readonly ManifestFile[])[], major: number): string {
  const facts = { ...FACTS, major, systemIdentifier: "7345678901234567890" };
  const text = joinBytes([...backupManifestText(groups.map(manifestEntries), facts)]);
  return new TextDecoder().decode(text);
}

const files = Array.from({ length: 7 }, (_, index) => file(index));
const groupings: readonly (readonly [string, readonly (readonly ManifestFile[])[]])[] = [
  ["one group", [files]],
  ["groups with empty ones between", [[], files.slice(0, 3), [], files.slice(3), []]],
  ["a group for each", files.map((one) => [one])],
];
for (const [title, groups] of groupings) {
  Deno.test(`backupManifestText() lists the files of ${title}, and its own checksum`, () => {
    const text = manifest(groups, 15);
    const parsed = JSON.parse(text);
    assert.equal(parsed["PostgreSQL-Backup-Manifest-Version"], 1);
    assert.deepEqual(
      parsed.Files.map((listed: Record<string, unknown>) => [listed.Path, listed.Size]),
      files.map(({ path, size }) => [path, size]),
    );
    assert.equal(parsed.Files[0]["Last-Modified"], "2023-11-14 22:13:20 GMT");
    assert.deepEqual(parsed["WAL-Ranges"], [
      { "Timeline": 3, "Start-LSN": "1/28", "End-LSN": "1/100" },
    ]);
    const before = text.slice(0, text.lastIndexOf('"Manifest-Checksum"'));
    const checksum = createHash("sha256").update(before).digest("hex");
    assert.equal(parsed["Manifest-Checksum"], checksum);
    assert.equal(text, manifest([files], 15), "the groups leave no trace");
  });
}

Deno.test("backupManifestText() lists nothing when there is nothing", () => {
  assert.deepEqual(JSON.parse(manifest([[], []], 15)).Files, []);
});

Deno.test("backupManifestText() names the system from PostgreSQL 17 on", () => {
  const text = manifest([files], 17);
  assert.match(text, /^\{ "PostgreSQL-Backup-Manifest-Version": 2,\n/);
  assert.match(text, /"System-Identifier": 7345678901234567890,\n/);
});
