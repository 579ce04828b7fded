import assert from "node:assert/strict";
import { Leases } from "../../../src/catalog/leases.ts";
import { type Clock, systemClock } from "../../../src/domain/clock.ts";
import { LeaseHeldError, StorageError } from "../../../src/domain/errors.ts";
import { silentProgress } from "../../../src/domain/progress.ts";
import { confirmHeld, holdLease, type HoldRequest } from "../../../src/engine/hold_lease.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import type { ObjectStore } from "../../../src/storage/storage.ts";
import { storeWith } from "../../support/wal_rig.ts";

const NEEDS = { systemIdentifier: "1", backups: ["20261123T022415Z-F"], walFrom: null };

function request(
  store: ObjectStore,
  { notes = [], clock = systemClock }: { readonly notes?: string[]; readonly clock?: Clock } = {},
): HoldRequest {
  return {
    leases: new Leases(store, { cluster: "main", holder: { host: "db1", pid: 1 }, clock }),
    progress: { ...silentProgress, note: (text) => void notes.push(text) },
    kind: "restore",
    what: "restore of backup 20261123T022415Z-F",
    needs: NEEDS,
  };
}

Deno.test("holdLease() goes on with a warning where the store may only be read", async () => {
  const store = storeWith(new MemoryStore(), {
    put: () => Promise.reject(new StorageError("AccessDenied: s3:PutObject")),
  });
  const notes: string[] = [];
  assert.equal(await holdLease(request(store, { notes })), undefined);
  assert.match(notes[0]!, /^warning: no lease could be taken.*AccessDenied/);
});

Deno.test("holdLease() does nothing where nobody keeps leases", async () => {
  assert.equal(await holdLease({ ...request(new MemoryStore()), leases: undefined }), undefined);
});

Deno.test("confirmHeld() takes a new lease when the first one ran out", async () => {
  let shift = 0;
  const clock: Clock = { ...systemClock, now: () => new Date(Date.now() + shift) };
  const asked = request(new MemoryStore(), { clock });
  const lease = await holdLease(asked);
  assert.equal(await confirmHeld(lease, asked), lease);
  shift = 3_600_000;
  const again = await confirmHeld(lease, asked);
  assert.ok(again && again !== lease);
  again.check();
  await again.release();
});

Deno.test("confirmHeld() refuses when a removal took what is needed meanwhile", async () => {
  let shift = 0;
  const clock: Clock = { ...systemClock, now: () => new Date(Date.now() + shift) };
  const store = new MemoryStore();
  const asked = request(store, { clock });
  const lease = await holdLease(asked);
  const removal = await request(store).leases!.exclude({ what: "removal" });
  const [id] = NEEDS.backups;
  await removal.renew({ removes: { backups: [{ systemIdentifier: "1", id: id! }], wal: [] } });
  shift = 3_600_000;
  await assert.rejects(confirmHeld(lease, asked), LeaseHeldError);
  await removal.release();
});
