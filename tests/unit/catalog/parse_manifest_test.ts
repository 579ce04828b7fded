import assert from "node:assert/strict";
import fc from "fast-check";
import { parseManifest } from "../../../src/catalog/parse_manifest.ts";
import { stableJson } from "../../../src/catalog/stable_json.ts";
import { IntegrityError, RepositoryError } from "../../../src/domain/errors.ts";
import { manifests, sampleManifest, samplePhysical } from "../../support/manifests.ts";
import { PROJECT_ROOT } from "../../support/paths.ts";

const where = "main/1/backups/x/backup.json";
const parse = (value: unknown) => parseManifest(JSON.stringify(value), { where });
const [globals, dump] = sampleManifest().objects;

Deno.test("parseManifest() reads what stableJson() writes", () => {
  fc.assert(
    fc.property(manifests(), (manifest) => {
      assert.deepEqual(parseManifest(stableJson(manifest), { where }), manifest);
    }),
    { numRuns: 200 },
  );
});

Deno.test("parseManifest() leaves out fields that it does not know", () => {
  const [object] = sampleManifest().objects;
  const future = {
    ...sampleManifest(),
    signature: "…",
    objects: [{ ...object, blocks: [1, 2] }, dump],
  };
  assert.deepEqual(parse(future), sampleManifest());
});

Deno.test("parseManifest() asks for an upgrade when the manifest is newer", () => {
  const newer = { format: "backupctl.backup", version: 2, id: 7 };
  assert.throws(() => parse(newer), (error) => {
    assert.ok(error instanceof RepositoryError);
    assert.equal(error.hint, "upgrade backupctl");
    return true;
  });
});

const object = (changes: Record<string, unknown>) => ({ objects: [{ ...dump, ...changes }] });

const FAULTS: readonly { readonly what: string; readonly changes: Record<string, unknown> }[] = [
  { what: "another format", changes: { format: "restic" } },
  { what: "version 0", changes: { version: 0 } },
  { what: "a version in words", changes: { version: "1" } },
  { what: "a name that is no backup's", changes: { id: "../../etc" } },
  { what: "a system identifier with a path in it", changes: { systemIdentifier: "1/../2" } },
  { what: "a section that no dump has", changes: object({ section: "most" }) },
  { what: "data without a number", changes: object({ section: "data" }) },
  { what: "a number without data", changes: object({ section: "post-data", part: 1 }) },
  { what: "globals with a section", changes: { objects: [{ ...globals, section: "pre-data" }] } },
  { what: "an unknown method", changes: { method: "magic" } },
  { what: "a time without a zone", changes: { stoppedAt: "2026-11-23T02:25:03" } },
  { what: "a time that is none", changes: { stoppedAt: "2026-13-23T02:25:03Z" } },
  {
    what: "a time before there was anything to back up",
    changes: { stoppedAt: "0000-01-01T00:00:00Z" },
  },
  { what: "a size below zero", changes: { rawBytes: -1 } },
  { what: "a size that is no safe integer", changes: { rawBytes: 2 ** 53 } },
  { what: "sizes that do not add up", changes: { storedBytes: 1 } },
  {
    what: "a zero byte in a database's name",
    changes: { databases: [{ name: "a\0", sizeBytes: 1 }] },
  },
  { what: "half a surrogate pair", changes: { host: "\ud800" } },
  { what: "encryption", changes: { encryption: { recipients: [] } } },
  { what: "a parent of a full backup", changes: { parentId: "20261122T020000Z-F" } },
  { what: "an increment without a parent", changes: { kind: "incremental" } },
  { what: "a physical backup without LSNs", changes: { method: "physical" } },
  { what: "a segment size that is no power of two", changes: { walSegmentBytes: 3_000_000 } },
  { what: "an LSN in lower case", changes: { startLsn: "0/9a" } },
  { what: "an annotation that is no text", changes: { annotations: { a: 1 } } },
  { what: "no objects field", changes: { objects: undefined } },
  { what: "two objects of one key", changes: { objects: [dump, dump] } },
  { what: "a dump without its database", changes: object({ database: undefined }) },
  { what: "a chunk with a database", changes: object({ role: "chunk" }) },
  { what: "an unknown role", changes: object({ role: "virus" }) },
  { what: "a hash of another length", changes: object({ sha256: "ab" }) },
  { what: "a hash in capitals", changes: object({ sha256: "A".repeat(64) }) },
];

for (const { what, changes } of FAULTS) {
  Deno.test(`parseManifest() refuses ${what}`, () => {
    const base = sampleManifest(changes as never);
    assert.throws(() => parse({ ...base, ...changes }), IntegrityError);
  });
}

const KEYS = [
  "/etc/passwd",
  "../x",
  "a/../b",
  "a//b",
  "a/",
  "",
  ".",
  "a\\b",
  "a\nb",
  "backup.json",
];

for (const key of KEYS) {
  Deno.test(`parseManifest() refuses the object key ${JSON.stringify(key)}`, () => {
    const objects = [{ ...dump!, key }];
    assert.throws(() => parse(sampleManifest({ objects })), IntegrityError);
  });
}

for (
  const json of ["", "{", "null", "[]", "7", '"backupctl.backup"', '{"__proto__":{"format":1}}']
) {
  Deno.test(`parseManifest() refuses ${json || "nothing"}`, () => {
    assert.throws(() => parseManifest(json, { where }), IntegrityError);
  });
}

Deno.test("parseManifest() never ends in another error, whatever one value becomes", () => {
  const text = JSON.stringify(samplePhysical());
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.constantFrom("", "0", "-", '"', "{", "é", "\\u0000"), (
      at,
      by,
    ) => {
      try {
        parseManifest(text.slice(0, at) + by + text.slice(at + 1), { where });
      } catch (error) {
        const known = error instanceof IntegrityError || error instanceof RepositoryError;
        assert.ok(known, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("parseManifest() compares the manifest with its place", () => {
  const { cluster, systemIdentifier, id } = sampleManifest();
  const json = JSON.stringify(sampleManifest());
  const expected = { cluster, systemIdentifier, id };
  parseManifest(json, { where, expected });
  for (const changes of [{ cluster: "other" }, { systemIdentifier: "1" }, { id: "x" }]) {
    const other = { ...expected, ...changes };
    assert.throws(() => parseManifest(json, { where, expected: other }), IntegrityError);
  }
});

Deno.test("parseManifest() names the faulty fields and not a million of them", () => {
  const objects = Array.from({ length: 1000 }, (_, index) => ({ key: index }));
  const broken = { ...sampleManifest(), objects };
  assert.throws(() => parse(broken), (error) => {
    assert.ok(error instanceof IntegrityError);
    assert.match(error.message, /objects\.0\.key: .*; and \d+ more$/);
    assert.ok(error.message.length < 1500);
    return true;
  });
});

const golden = `${PROJECT_ROOT}tests/golden/`;
const names = [...Deno.readDirSync(golden)].map(({ name }) => name)
  .filter((name) => /^backup-v\d+-.*\.json$/.test(name)).sort();

Deno.test("there are golden manifests", () => assert.ok(names.length >= 4, names.join(", ")));

for (const name of names) {
  Deno.test(`parseManifest() reads ${name}, for ever, and writes the same bytes`, async () => {
    const text = await Deno.readTextFile(golden + name);
    const manifest = parseManifest(text, { where: name });
    assert.equal(stableJson(manifest), text);
  });
}
