import assert from "node:assert/strict";
import type { ManifestObject } from "../../../../../src/catalog/catalog.ts";
import { IntegrityError } from "../../../../../src/domain/errors.ts";
import {
  type ListedBackup,
  planLevels,
} from "../../../../../src/engine/physical/incremental/plan_levels.ts";
import { samplePhysical } from "../../../../support/manifests.ts";

const CONTROL = "global/pg_control";

/** A backup whose chunks hold these files, in this order. */
function listed(id: string, ...chunks: readonly (readonly string[])[]): ListedBackup {
  const objects = chunks.map((files, index): ManifestObject => ({
    key: `chunks/${index + 1}`,
    role: "chunk",
    rawBytes: 10,
    storedBytes: 5,
    sha256: "0".repeat(64),
    files: files.length,
  }));
  const entry = { size: 8192, algorithm: "SHA256" as const, checksum: "00" };
  return {
    backup: samplePhysical({ id, objects }),
    files: new Map(chunks.flat().map((name) => [name, entry])),
  };
}

const base = listed(
  "20261122T020000Z-F",
  ["base/5/1", "base/5/2"],
  ["base/5/gone"],
  ["base/5/whole", CONTROL],
);

function keysOf(chunks: readonly ManifestObject[]): readonly string[] {
  return chunks.map(({ key }) => key);
}

Deno.test("planLevels() takes from older backups only what the newest one builds on", () => {
  const middle = listed("20261122T030000Z-I", ["base/5/INCREMENTAL.1", "base/5/2"], [CONTROL]);
  const newest = listed(
    "20261122T040000Z-I",
    ["base/5/INCREMENTAL.1", "base/5/INCREMENTAL.2", "base/5/whole"],
    [CONTROL],
    [],
  );
  const { levels, merged } = planLevels([base, middle, newest]);
  assert.deepEqual([...merged], ["base/5/1", "base/5/2"]);
  const [oldest, between, last] = levels;
  assert.deepEqual([...oldest!.selection.only!], ["base/5/1"]);
  assert.deepEqual(keysOf(oldest!.chunks), ["chunks/1"]);
  assert.deepEqual([...between!.selection.only!], ["base/5/INCREMENTAL.1", "base/5/2"]);
  assert.deepEqual(keysOf(between!.chunks), ["chunks/1"]);
  assert.equal(last!.selection.only, undefined);
  assert.deepEqual([...last!.selection.except!], []);
  assert.deepEqual(keysOf(last!.chunks), ["chunks/1", "chunks/2", "chunks/3"]);
  assert.deepEqual(levels.map(({ files }) => files), [1, 2, 4]);
  assert.deepEqual(levels.map(({ selection }) => selection.patches), [false, true, true]);
});

Deno.test("planLevels() leaves out backups of which nothing is needed", () => {
  const newest = listed("20261122T040000Z-I", ["base/5/whole", CONTROL]);
  const { levels } = planLevels([base, newest]);
  assert.deepEqual(levels.map(({ backup }) => backup.id), ["20261122T040000Z-I"]);
});

Deno.test("planLevels() leaves out chunks whose files stay, but for those from pg_control on", () => {
  const kept = { final: new Set(["base/5/1", "base/5/2", "base/5/gone"]), base: new Set<string>() };
  const { levels: [level] } = planLevels([base], kept);
  assert.deepEqual(keysOf(level!.chunks), ["chunks/3"]);
  assert.deepEqual([...level!.selection.except!], [...kept.final]);
  assert.equal(level!.files, 2);
  const behind = listed("20261122T020000Z-F", ["base/5/1"], [CONTROL], [], []);
  const { levels: [all] } = planLevels([behind], { final: new Set(["base/5/1"]), base: new Set() });
  assert.deepEqual(keysOf(all!.chunks), ["chunks/2", "chunks/3", "chunks/4"]);
  // The log may stand beside files that stay.
  const beside = listed("20261122T020000Z-F", ["base/5/1"], [CONTROL], ["base/5/2"]);
  const both = { final: new Set(["base/5/1", "base/5/2"]), base: new Set<string>() };
  assert.deepEqual(keysOf(planLevels([beside], both).levels[0]!.chunks), ["chunks/2", "chunks/3"]);
});

Deno.test("planLevels() fetches every chunk where nobody knows what they hold", () => {
  const objects = base.backup.objects.map(({ files: _, ...object }) => object);
  const old = { ...base, backup: { ...base.backup, objects } };
  const kept = {
    final: new Set([...base.files.keys()].filter((name) => name !== CONTROL)),
    base: new Set<string>(),
  };
  assert.equal(planLevels([old], kept).levels[0]!.chunks.length, 3);
  const wrong = objects.map((object) => ({ ...object, files: 1 }));
  const lying = { ...base, backup: { ...base.backup, objects: wrong } };
  assert.equal(planLevels([lying], kept).levels[0]!.chunks.length, 3);
});

Deno.test("planLevels() applies increments to a base that stays", () => {
  const newest = listed("20261122T040000Z-I", ["base/5/INCREMENTAL.1", CONTROL]);
  const kept = { final: new Set<string>(), base: new Set(["base/5/1"]) };
  const { levels } = planLevels([base, newest], kept);
  assert.equal(levels.length, 1);
  assert.equal(levels[0]!.files, 2);
});

Deno.test("planLevels() refuses pages of a file that no older backup holds, or that is there whole", () => {
  const orphan = listed("20261122T040000Z-I", ["base/5/INCREMENTAL.9", CONTROL]);
  assert.throws(() => planLevels([base, orphan]), IntegrityError);
  const twice = listed("20261122T040000Z-I", ["base/5/INCREMENTAL.1", "base/5/1", CONTROL]);
  assert.throws(() => planLevels([base, twice]), IntegrityError);
  const skipped = listed("20261122T030000Z-I", [CONTROL]);
  const newest = listed("20261122T040000Z-I", ["base/5/INCREMENTAL.1", CONTROL]);
  assert.throws(() => planLevels([base, skipped, newest]), /does not have/);
});

Deno.test("planLevels() takes a full backup's files for what they are, whatever their names", () => {
  const odd = listed("20261122T020000Z-F", ["base/5/INCREMENTAL.1", CONTROL]);
  const { levels, merged } = planLevels([odd]);
  assert.equal(merged.size, 0);
  assert.equal(levels[0]!.selection.patches, false);
});
