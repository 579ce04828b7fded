import assert from "node:assert/strict";
import { giveUpStaleUploads } from "../../../src/engine/give_up_stale_uploads.ts";
import { openRepository } from "../../../src/catalog/repository.ts";
import { StorageError } from "../../../src/domain/errors.ts";
import { silentProgress } from "../../../src/domain/progress.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import { DirectoryStore } from "../../../src/storage/directory.ts";

const DAY = 86_400_000;

function partsOf(store: MemoryStore | DirectoryStore) {
  const notes: string[] = [];
  const clock = { now: () => new Date(), monotonic: () => 0 };
  const progress = { ...silentProgress, note: (text: string) => void notes.push(text) };
  return { notes, store, clock, progress, repository: openRepository(store, { cluster: "main" }) };
}

Deno.test("giveUpStaleUploads() removes what a killed run left a week ago, and nothing younger", async () => {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-stale-" });
  try {
    const parts = partsOf(new DirectoryStore(folder));
    await parts.store.put("main/1/backups/x/backup.json", new Uint8Array(1));
    const unfinished = (key: string) => `${folder}/.backupctl/tmp/${encodeURIComponent(key)}.1`;
    const ages = { "main/1/old": 8, "main/1/young": 6, "other/1/old": 8 };
    for (const [key, days] of Object.entries(ages)) {
      await Deno.writeTextFile(unfinished(key), "half");
      const time = new Date(Date.now() - days * DAY);
      await Deno.utime(unfinished(key), time, time);
    }
    await giveUpStaleUploads(parts);
    await assert.rejects(Deno.stat(unfinished("main/1/old")), Deno.errors.NotFound);
    await Deno.stat(unfinished("main/1/young"));
    await Deno.stat(unfinished("other/1/old"));
    await Deno.stat(`${folder}/main/1/backups/x/backup.json`);
    assert.deepEqual(parts.notes, [
      "removed 1 unfinished upload of runs that were killed more than seven days ago",
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("giveUpStaleUploads() keeps quiet when the store refuses, or knows no uploads", async () => {
  class Refusing extends MemoryStore {
    abortUploads(): Promise<number> {
      return Promise.reject(new StorageError("AccessDenied"));
    }
  }
  for (const store of [new Refusing(), new MemoryStore()]) {
    const parts = partsOf(store);
    await giveUpStaleUploads(parts);
    assert.deepEqual(parts.notes, []);
  }
});
