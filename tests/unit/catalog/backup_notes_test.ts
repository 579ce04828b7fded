import assert from "node:assert/strict";
import { NoteBook } from "../../../src/catalog/backup_notes.ts";
import { openRepository } from "../../../src/catalog/repository.ts";
import { type Clock, systemClock } from "../../../src/domain/clock.ts";
import { RepositoryError } from "../../../src/domain/errors.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import type { ObjectStore } from "../../../src/storage/storage.ts";

const PLACE = { systemIdentifier: "7345678901234567890", id: "20261123T022415Z-L" };
const OTHER = { ...PLACE, id: "20261124T022415Z-L" };

function bookOn(store: ObjectStore, clock: Clock = systemClock): NoteBook {
  return new NoteBook(store, { cluster: "main", host: "db1", clock });
}

Deno.test("NoteBook tells the last word on a pin", async () => {
  const book = bookOn(new MemoryStore());
  assert.deepEqual(await book.of(PLACE), { pin: undefined, annotations: {} });
  const until = new Date("2027-01-31T00:00:00Z");
  await book.add(PLACE, { keep: { until } });
  await book.add(PLACE, { annotations: { ticket: "OPS-7" } });
  assert.deepEqual((await book.of(PLACE)).pin, { until });
  await book.add(PLACE, { keep: { until: null } });
  assert.deepEqual((await book.of(PLACE)).pin, { until: null });
  await book.add(PLACE, { keep: false });
  assert.equal((await book.of(PLACE)).pin, undefined);
});

Deno.test("NoteBook puts a note behind the last one, whatever the host's clock says", async () => {
  const store = new MemoryStore();
  const at = (time: string): Clock => ({ ...systemClock, now: () => new Date(time) });
  await bookOn(store, at("2027-05-01T00:00:00Z")).add(PLACE, { keep: { until: null } });
  await bookOn(store, at("2026-01-01T00:00:00Z")).add(PLACE, { keep: false });
  assert.equal((await bookOn(store).of(PLACE)).pin, undefined);
});

Deno.test("NoteBook joins annotations, and takes one away", async () => {
  const book = bookOn(new MemoryStore());
  await book.add(PLACE, { annotations: { ticket: "OPS-7", owner: "ana" } });
  await book.add(PLACE, { annotations: { owner: null, size: "big" } });
  const { annotations } = await book.of(PLACE);
  assert.deepEqual(annotations, { ticket: "OPS-7", owner: null, size: "big" });
});

Deno.test("NoteBook.ofSystem() tells of every backup that has notes", async () => {
  const book = bookOn(new MemoryStore());
  await book.add(PLACE, { keep: { until: null } });
  await book.add(OTHER, { annotations: { a: "b" } });
  const all = await book.ofSystem(PLACE.systemIdentifier);
  assert.deepEqual([...all.keys()], [PLACE.id, OTHER.id]);
  await book.remove(PLACE);
  assert.deepEqual([...(await book.ofSystem(PLACE.systemIdentifier)).keys()], [OTHER.id]);
});

Deno.test("NoteBook refuses a note that it cannot read: it might be a pin", async () => {
  const store = new MemoryStore();
  const book = bookOn(store);
  for (const text of ["{", '{"format":"backupctl.note","version":2}']) {
    const key = `${book.folder(PLACE)}x.json`;
    await store.put(key, new TextEncoder().encode(text));
    await assert.rejects(book.of(PLACE), RepositoryError);
    await assert.rejects(book.ofSystem(PLACE.systemIdentifier), RepositoryError);
    await store.delete([key]);
  }
});

Deno.test("Repository.backups() takes no note and no lease for a backup", async () => {
  const store = new MemoryStore();
  const repository = openRepository(store, { cluster: "main" });
  await repository.prepare();
  await bookOn(store).add(PLACE, { keep: { until: null } });
  await store.put("main/leases/prune/0000000001.json", new Uint8Array(2));
  const unreadable: unknown[] = [];
  const backups = await repository.backups({ onUnreadable: (one) => unreadable.push(one) });
  assert.deepEqual([backups, unreadable], [[], []]);
});
