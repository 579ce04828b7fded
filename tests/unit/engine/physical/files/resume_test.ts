import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import type { ChunkRecord } from "../../../../../src/catalog/chunk_record.ts";
import type { Bytes } from "../../../../../src/domain/bytes.ts";
import { DirectoryStore } from "../../../../../src/storage/directory.ts";
import type { S3Options } from "../../../../../src/storage/s3.ts";
import type { ObjectStore } from "../../../../../src/storage/storage.ts";
import { bytesOf, text } from "../../../../support/bodies.ts";
import { folderOf, LARGE_FILES, ResumeWorld } from "../../../../support/resume_world.ts";
import { startS3 } from "../../../../support/storage/s3_rig.ts";

const FIRST = "20261123T022415Z-F";
const SECOND = "20261123T032415Z-F";

/** What may have become of a chunk since its run was killed. */
const FATES = [
  "whole",
  "a byte is another",
  "cut by a byte",
  "gone",
  "another chunk's bytes",
  "other bytes, and a record of them",
  "a record of other files",
  "a record that is none",
  "its file was written in secret",
] as const;
type Fate = typeof FATES[number];

/** A store, and a way round it: bytes change while length, time and etag stay. */
interface Tampered extends AsyncDisposable {
  readonly store: ObjectStore;
  overwrite(key: string, bytes: Bytes): Promise<void>;
}

async function inFolder(): Promise<Tampered> {
  const root = await Deno.makeTempDir({ prefix: "backupctl-resume-repository-" });
  return {
    store: new DirectoryStore(root),
    async overwrite(key, bytes) {
      const { atime, mtime } = await Deno.stat(`${root}/${key}`);
      await Deno.writeFile(`${root}/${key}`, bytes);
      await Deno.utime(`${root}/${key}`, atime!, mtime!);
    },
    [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }),
  };
}

function inBucket(options: Partial<S3Options> = {}): Promise<Tampered> {
  const rig = startS3({ store: { partBytes: 5 * 1024 * 1024, ...options } });
  return Promise.resolve({
    store: rig.store,
    overwrite(key, bytes) {
      const { objects } = rig.server.bucket();
      objects.set(key, { ...objects.get(key)!, bytes, size: bytes.length });
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose](),
  });
}

/** The records of the first run whose chunks hold the large files, in the order of those. */
async function recordsOf(store: ObjectStore) {
  const found = new Map<string, { readonly key: string; readonly record: ChunkRecord }>();
  for await (const { key } of store.list(`${folderOf(FIRST)}resume/`)) {
    const record = JSON.parse(new TextDecoder().decode(await bytesOf(await store.get(key))));
    found.set(record.files[0].path, { key, record });
  }
  return LARGE_FILES.map((path) => found.get(path)!);
}

async function suffer(
  fates: readonly Fate[],
  { store, overwrite, world }: Tampered & { readonly world: ResumeWorld },
): Promise<void> {
  const records = await recordsOf(store);
  const stored = await Promise.all(
    records.map(async ({ record }) => bytesOf(await store.get(folderOf(FIRST) + record.key))),
  );
  for (const [index, fate] of fates.entries()) {
    const { key, record } = records[index]!;
    const next = (index + 1) % fates.length;
    const chunk = folderOf(FIRST) + record.key;
    const bytes = stored[index]!.slice();
    const write = (value: unknown) => overwrite(key, text(JSON.stringify(value)));
    if (fate === "gone") await store.delete([chunk]);
    if (fate === "cut by a byte") await overwrite(chunk, bytes.slice(1));
    if (fate === "another chunk's bytes") await overwrite(chunk, stored[next]!);
    if (fate === "a record that is none") await overwrite(key, text("{"));
    if (fate === "its file was written in secret") await world.write(LARGE_FILES[index]!, 50);
    if (fate === "a record of other files") {
      await write({ ...record, files: records[next]!.record.files });
    }
    bytes[bytes.length >> 1]! ^= 1;
    if (fate === "a byte is another") await overwrite(chunk, bytes);
    if (fate === "other bytes, and a record of them") {
      await overwrite(chunk, bytes);
      await write({ ...record, sha256: createHash("sha256").update(bytes).digest("hex") });
    }
  }
}

/** One run that was cut off, what became of its chunks, and the run that follows. */
async function trial(fates: readonly Fate[], open: () => Promise<Tampered>): Promise<void> {
  await using place = await open();
  await using world = await ResumeWorld.open(place.store);
  await world.run(FIRST);
  await suffer(fates, { ...place, world });
  const before = await Array.fromAsync(place.store.list(folderOf(FIRST)));
  const backup = await world.run(SECOND);
  const what = fates.join(", ");
  // That run may be alive.
  assert.deepEqual(await Array.fromAsync(place.store.list(folderOf(FIRST))), before, what);
  await world.assertStored(SECOND, backup, what);
  const { objects = 0, from = [] } = backup.takenOver ?? {};
  // The small files are one chunk more.
  const whole = fates.filter((fate) => fate === "whole").length + 1;
  assert.ok(objects <= whole, `${what}: ${objects} objects were taken over`);
  // A record that claims the files of another chunk may only keep that one from being used.
  if (!fates.includes("a record of other files")) assert.equal(objects, whole, what);
  if (objects > 0) assert.deepEqual(from, [FIRST]);
}

for (const [name, open] of [["a folder", inFolder], ["a bucket", () => inBucket()]] as const) {
  for (const fate of FATES) {
    Deno.test(`a chunk in ${name} is taken over only when its bytes are those that were read: ${fate}`, async () => {
      await trial([fate, "whole", fate, "whole"], open);
    });
  }

  Deno.test(`of any chunks in ${name} those that are whole are taken over, and no others`, async () => {
    const fates = fc.array(fc.constantFrom(...FATES), { minLength: 4, maxLength: 4 });
    await fc.assert(fc.asyncProperty(fates, (drawn) => trial(drawn, open)), { numRuns: 3 });
  });
}

Deno.test("where a store counts no SHA-256, what was read decides, and the etag", async () => {
  const fates = [
    "its file was written in secret",
    "whole",
    "a record that is none",
    "gone",
  ] as const;
  await trial(fates, () => inBucket({ checksums: false }));
});

Deno.test("a run takes over what the run before it had taken over, and the records go with it", async () => {
  await using place = await inFolder();
  await using world = await ResumeWorld.open(place.store);
  await world.run(FIRST);
  const second = await world.run(SECOND);
  for await (const { key } of place.store.list(folderOf(FIRST))) await place.store.delete([key]);
  const third = await world.run("20261123T042415Z-F");
  assert.equal(third.takenOver?.objects, second.takenOver?.objects);
  assert.deepEqual(third.takenOver?.from, [SECOND]);
  assert.equal(third.scaffolding?.length, LARGE_FILES.length + 1);
});

Deno.test("nothing is taken over without being asked, of a committed backup, or of another kind", async () => {
  await using place = await inFolder();
  await using world = await ResumeWorld.open(place.store);
  await world.run(FIRST);
  assert.equal((await world.run(SECOND, { resume: false })).takenOver, undefined);
  assert.equal((await world.run("20261123T042415Z-I")).takenOver, undefined);
  for (const id of [FIRST, SECOND]) await place.store.put(`${folderOf(id)}backup.json`, text("{}"));
  assert.equal((await world.run("20261123T052415Z-F")).takenOver, undefined);
});

Deno.test("a store that refuses to copy costs nothing but the upload", async () => {
  await using place = await inFolder();
  await using world = await ResumeWorld.open(place.store);
  await world.run(FIRST);
  const { store } = place;
  let asked = 0;
  Object.assign(store, {
    copy: () => {
      asked += 1;
      return store.get("main/absent");
    },
  });
  const backup = await world.run(SECOND);
  await world.assertStored(SECOND, backup, "refused");
  assert.equal(backup.takenOver, undefined);
  assert.ok(asked > 0 && asked <= 2, `${asked}`); // two threads ask at once
});

Deno.test("what is encrypted is neither taken over nor written down", async () => {
  await using place = await inFolder();
  await using world = await ResumeWorld.open(place.store);
  await world.run(FIRST);
  const second = await world.run(SECOND, { sealing: true });
  assert.equal(second.takenOver, undefined);
  assert.deepEqual(second.scaffolding, []);
  const keys = await Array.fromAsync(place.store.list(`${folderOf(SECOND)}resume/`));
  assert.deepEqual(keys, []);
});
