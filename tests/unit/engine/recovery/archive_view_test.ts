import assert from "node:assert/strict";
import { StorageError } from "../../../../src/domain/errors.ts";
import { parseWalName } from "../../../../src/domain/wal.ts";
import { walFolder, walKey } from "../../../../src/domain/wal_key.ts";
import { viewArchive } from "../../../../src/engine/recovery/archive_view.ts";
import { restorableWindows } from "../../../../src/engine/recovery/restorable_windows.ts";
import { MemoryStore } from "../../../../src/storage/memory.ts";
import { at, backupOf, PLACE, SEGMENT_BYTES, walName } from "../../../support/archives.ts";
import { sampleManifest } from "../../../support/manifests.ts";

async function storeWith(
  names: readonly string[],
  texts: Readonly<Record<string, string>> = {},
): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (const name of names) await store.put(walKey(PLACE, parseWalName(name)!), new Uint8Array(7));
  for (const [name, text] of Object.entries(texts)) {
    await store.put(walFolder(PLACE) + name, new TextEncoder().encode(text));
  }
  return store;
}

const BACKUP = backupOf("20261123T000100Z-F", { start: at(2, 40), stop: at(2, 300), minutes: 2 });

Deno.test("viewArchive() joins the segments of a timeline into runs", async () => {
  const store = await storeWith([
    ...[2, 3, 4, 7, 255, 256, 257].map((number) => walName(1, number)),
    ...[4, 5].map((number) => walName(2, number)),
    `${walName(1, 4)}.partial`,
    `${walName(1, 2)}.00000028.backup`,
  ], { "00000002.history": "1\t0/4000300\tno recovery target specified\n" });
  const view = await viewArchive(store, { place: PLACE, backups: [BACKUP] });
  const runs = [...view.runs].map(([timeline, runs]) => [
    timeline,
    ...runs.map(({ first, last, bytes }) => [first, last, bytes]),
  ]);
  assert.deepEqual(runs, [
    [1, [2, 4, 21], [7, 7, 7], [255, 257, 21]],
    [2, [4, 5, 14]],
  ]);
  assert.equal(view.segmentBytes, SEGMENT_BYTES);
  assert.ok(view.runs.get(1)![0]!.lastStoredAt instanceof Date);
  assert.deepEqual(view.histories.get(2)!.history.ancestors, [
    { timeline: 1, switchLsn: at(4, 0x300), reason: "no recovery target specified" },
  ]);
  assert.deepEqual(view.strangers, []);
  assert.equal(view.storedBytes, 11 * 7 + 41);
});

Deno.test("viewArchive() takes only this system's physical backups, by stop time", async () => {
  const late = backupOf("20261123T000500Z-F", { start: at(5), stop: at(5, 9), minutes: 6 });
  const other = { ...late, systemIdentifier: "7000000000000000000" };
  const view = await viewArchive(new MemoryStore(), {
    place: PLACE,
    backups: [late, sampleManifest(), other, BACKUP],
  });
  assert.deepEqual(view.backups.map(({ id }) => id), [BACKUP.id, late.id]);
});

Deno.test("viewArchive() leaves out increments that lack what they are built on", async () => {
  const later = backupOf("20261123T000500Z-I", { start: at(5), stop: at(5, 9), minutes: 6 });
  const increment = { ...later, kind: "incremental" as const, parentId: BACKUP.id };
  const idsOf = async (backups: readonly (typeof BACKUP)[]) => {
    const view = await viewArchive(new MemoryStore(), { place: PLACE, backups });
    return view.backups.map(({ id }) => id);
  };
  assert.deepEqual(await idsOf([BACKUP, increment]), [BACKUP.id, increment.id]);
  assert.deepEqual(await idsOf([BACKUP, { ...increment, parentId: "20261101T000000Z-F" }]), [
    BACKUP.id,
  ]);
  assert.deepEqual(await idsOf([increment]), []);
});

Deno.test("viewArchive() counts by the backup's segment size", async () => {
  const backup = { ...BACKUP, walSegmentBytes: 1 << 20 };
  const store = await storeWith(["000000010000000000000FFF", "000000010000000100000000"]);
  const view = await viewArchive(store, { place: PLACE, backups: [backup] });
  assert.deepEqual(view.runs.get(1)!.map(({ first, last }) => [first, last]), [[4095, 4096]]);
});

Deno.test("viewArchive() keeps what it cannot place apart", async () => {
  const store = await storeWith(["000000010000000000000FFF"], {
    "00000003.history": "9 0/1 of the future\n",
    "00000001/00000000/000000010000000100000002.zst": "in the wrong folder",
    "notes.txt": "hello",
  });
  const { strangers, histories, runs } = await viewArchive(store, { place: PLACE, backups: [] });
  assert.deepEqual(strangers.map((key) => key.slice(walFolder(PLACE).length)), [
    "00000001/00000000/000000010000000000000FFF.zst", // no such segment at 16 MiB
    "00000001/00000000/000000010000000100000002.zst",
    "notes.txt",
    "00000003.history",
  ]);
  assert.deepEqual([histories.size, runs.size], [0, 0]);
});

Deno.test("viewArchive() fails when the listing breaks, and shows no half archive", async () => {
  const store = await storeWith([2, 3].map((number) => walName(1, number)));
  const list = store.list.bind(store);
  store.list = async function* (prefix: string) {
    for await (const info of list(prefix)) {
      yield info;
      throw new StorageError("the store went away");
    }
  };
  await assert.rejects(viewArchive(store, { place: PLACE, backups: [BACKUP] }), StorageError);
});

Deno.test("restorableWindows() has times from the backup's end to the newest segment", async () => {
  const store = await storeWith([2, 3, 5].map((number) => walName(1, number)));
  const view = await viewArchive(store, { place: PLACE, backups: [BACKUP] });
  const { windows, gaps } = restorableWindows(view);
  assert.deepEqual(windows, [{
    timeline: 1,
    fromLsn: at(2, 300),
    toLsn: at(4),
    backupIds: [BACKUP.id],
    from: new Date(BACKUP.stoppedAt),
    to: view.runs.get(1)![0]!.lastStoredAt,
    open: false,
  }]);
  assert.deepEqual(gaps, [{ timeline: 1, fromWal: walName(1, 4), toWal: walName(1, 4) }]);
});

Deno.test("restorableWindows() has the own moment of a backup from before the archive, and no gap", async () => {
  const store = await storeWith([5, 6].map((number) => walName(1, number)));
  const late = backupOf("20261123T000500Z-F", { start: at(5, 40), stop: at(5, 90), minutes: 6 });
  const view = await viewArchive(store, { place: PLACE, backups: [BACKUP, late] });
  const { windows, gaps } = restorableWindows(view);
  assert.deepEqual(windows.map(({ fromLsn, toLsn, backupIds }) => [fromLsn, toLsn, backupIds]), [
    [at(2, 300), at(2, 300), [BACKUP.id]],
    [at(5, 90), at(7), [late.id]],
  ]);
  assert.deepEqual(gaps, []);
});

Deno.test("restorableWindows() shows a gap in a backup's own WAL", async () => {
  const store = await storeWith([1, 3].map((number) => walName(1, number)));
  const view = await viewArchive(store, { place: PLACE, backups: [BACKUP] });
  const { windows, gaps } = restorableWindows(view);
  assert.deepEqual(windows.map(({ fromLsn, toLsn }) => [fromLsn, toLsn]), [
    [at(2, 300), at(2, 300)],
  ]);
  assert.deepEqual(gaps, [{ timeline: 1, fromWal: walName(1, 2), toWal: walName(1, 2) }]);
});
