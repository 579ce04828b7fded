import assert from "node:assert/strict";
import type { BackupManifest } from "../../../../../src/catalog/catalog.ts";
import { WorkerPool } from "../../../../../src/codec/worker_pool.ts";
import { fileListText, knownFiles } from "../../../../../src/engine/physical/files/file_list.ts";
import type { ManifestParts } from "../../../../../src/engine/physical/incremental/stored_manifest.ts";
import { ObjectUpload } from "../../../../../src/engine/physical/object_upload.ts";
import { IncrementRefusedError } from "../../../../../src/postgres/postgres.ts";
import { MemoryStore } from "../../../../../src/storage/memory.ts";
import { samplePhysical } from "../../../../support/manifests.ts";
import { BACKUP_FOLDER } from "../../../../support/physical_backups.ts";

const CODEC = { algorithm: "zstd", level: 1 } as const;

/** Stores a list of these bytes and reads it back. */
async function readBack(pieces: Iterable<Uint8Array<ArrayBuffer>>) {
  using codecs = new WorkerPool(1);
  const store = new MemoryStore();
  const codec = codecs.codec(CODEC);
  const upload = new ObjectUpload(store, {
    ...{ folder: BACKUP_FOLDER, key: "file_list.zst", role: "file_list", codec, cut: true },
  });
  for (const piece of pieces) await upload.write(piece);
  upload.close();
  const backup: BackupManifest = {
    ...samplePhysical(),
    codec: CODEC,
    encryption: null,
    objects: [await upload.finished],
  };
  const repository = { folder: () => BACKUP_FOLDER };
  const parts = { store, codecs, repository } as unknown as ManifestParts;
  return await knownFiles(parts, backup);
}

Deno.test("knownFiles() reads what fileListText() wrote, in pieces of any length", async () => {
  const identities = Array.from({ length: 10_000 }, (_, index) => ({
    ...{ path: `base/5/ü${index}\n`, size: index * 8192, inode: index + 1, bornAt: 1e12 + index },
  }));
  const files = identities.map((identity) => ({
    ...{ path: `stored ${identity.path}`, size: 1, modifiedAt: 0, sha256: "", identity },
  }));
  const plain = { path: "PG_VERSION", size: 3, modifiedAt: 0, sha256: "" };
  const known = await readBack(fileListText([plain, ...files]));
  assert.equal(known.size, identities.length);
  for (const { path, ...rest } of identities) assert.deepEqual(known.get(path), rest);
});

Deno.test("knownFiles() refuses an increment when the list is missing, cut short or no list", async () => {
  const encode = (text: string) => [new TextEncoder().encode(text)];
  for (const text of ['{"path":"a","size":1', "rubbish\n", '{"size":1}\n']) {
    await assert.rejects(readBack(encode(text)), IncrementRefusedError, text);
  }
  const parts = { store: new MemoryStore() } as unknown as ManifestParts;
  await assert.rejects(knownFiles(parts, samplePhysical()), IncrementRefusedError);
});
