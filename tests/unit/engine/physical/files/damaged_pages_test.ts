import assert from "node:assert/strict";
import { IntegrityError } from "../../../../../src/domain/errors.ts";
import { silentProgress } from "../../../../../src/domain/progress.ts";
import {
  damagedPages,
  describeDamage,
  reportDamage,
  serverDamagedPages,
} from "../../../../../src/engine/physical/files/damaged_pages.ts";

const file = (path: string, ...pages: (readonly [block: number, lsn: bigint])[]) => ({
  ...{ path, size: 8192, modifiedAt: 0, sha256: "" },
  damaged: pages.map(([block, lsn]) => ({ block, lsn })),
});
const positions = { startLsn: 100n, stopLsn: 200n };

Deno.test("damagedPages() leaves out what the backup's own WAL makes good, and nothing else", () => {
  const files = [
    file("base/5/1", [3, 99n], [4, 100n], [5, 200n], [6, 201n]),
    file("base/5/2", [7, 150n]),
    { ...file("base/5/3"), damaged: [] },
  ];
  assert.deepEqual(damagedPages(files, positions), {
    count: 2,
    files: [{ path: "base/5/1", blocks: [3, 6] }],
  });
  assert.equal(damagedPages(files.slice(1), positions), undefined);
});

Deno.test("damagedPages() counts all and names some", () => {
  const many = Array.from({ length: 300 }, (_, at) => [at, 1n] as const);
  const files = Array.from({ length: 150 }, (_, index) => file(`base/5/${index}`, ...many));
  const found = damagedPages(files, positions)!;
  assert.equal(found.count, 45_000);
  assert.equal(found.files.length, 100);
  assert.ok(found.files.every(({ blocks }) => blocks.length === 100));
});

Deno.test("serverDamagedPages() counts blocks from the start of the relation", () => {
  const pages = [
    { path: "base/5/16384", block: 3 },
    { path: "base/5/16384.2", block: 9 },
    { path: "base/5/16384", block: 4 },
  ];
  assert.deepEqual(serverDamagedPages({ count: 12, pages }, 1000), {
    count: 12,
    files: [
      { path: "base/5/16384", blocks: [3, 4] },
      { path: "base/5/16384.2", blocks: [2009] },
    ],
  });
});

Deno.test("reportDamage() tells people, or fails with the first page", () => {
  const damaged = { count: 2, files: [{ path: "base/5/1", blocks: [3, 6] }] };
  const notes: string[] = [];
  const progress = { ...silentProgress, note: (text: string) => void notes.push(text) };
  reportDamage(damaged, { progress });
  assert.deepEqual(notes, [
    "complete with damage: 2 damaged pages, among them block 3 of base/5/1",
  ]);
  const failOnCorruption = true;
  assert.throws(() => reportDamage(damaged, { progress, failOnCorruption }), IntegrityError);
  assert.equal(describeDamage({ count: 1, files: [] }), "1 damaged page");
});
