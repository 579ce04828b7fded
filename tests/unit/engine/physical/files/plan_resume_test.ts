import assert from "node:assert/strict";
import fc from "fast-check";
import type { AbandonedChunk } from "../../../../../src/catalog/catalog.ts";
import { planResume } from "../../../../../src/engine/physical/files/plan_resume.ts";

/** Few names, lengths and times, so that much of it fits by chance. */
const file = fc.record({
  path: fc.constantFrom("a", "b", "c", "d", "e"),
  size: fc.integer({ min: 0, max: 1 }),
  modifiedAt: fc.integer({ min: 0, max: 1 }),
}, { noNullPrototype: true });
const extension = fc.constantFrom(".zst", ".gz");
const chunk = fc.record({ files: fc.array(file, { minLength: 1, maxLength: 4 }), extension }).map(
  ({ files, extension }): AbandonedChunk => ({
    backupId: "20261123T022415Z-F",
    folder: "main/1/backups/20261123T022415Z-F/",
    record: {
      ...{ format: "backupctl.chunk", version: 1, key: `chunks/0001.tar${extension}` },
      ...{ storedBytes: 1, sha256: "0".repeat(64), etag: null, files },
    },
  }),
);

Deno.test("planResume() deals out every file once, and only into chunks of just those files", () => {
  const listed = fc.uniqueArray(file, { selector: ({ path }) => path });
  fc.assert(
    fc.property(listed, fc.array(chunk, { maxLength: 5 }), (files, abandoned) => {
      const { chunks, rest } = planResume(files, { abandoned, extension: ".zst" });
      const dealt = [...chunks.flatMap((one) => one.files), ...rest];
      assert.equal(dealt.length, files.length);
      assert.deepEqual(new Set(dealt), new Set(files));
      for (const { files, candidate: { record } } of chunks) {
        assert.deepEqual(files, record.files);
        assert.ok(record.key.endsWith(".zst"));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("planResume() takes the newest run's chunk where several would do", () => {
  const files = [{ path: "a", size: 1, modifiedAt: 1 }];
  const [sample] = fc.sample(chunk, 1);
  const of = (backupId: string): AbandonedChunk => ({
    ...sample!,
    backupId,
    record: { ...sample!.record, key: "chunks/0001.tar.zst", files },
  });
  const abandoned = [of("newer"), of("older")];
  const { chunks } = planResume(files, { abandoned, extension: ".zst" });
  assert.deepEqual(chunks.map(({ candidate }) => candidate.backupId), ["newer"]);
});
