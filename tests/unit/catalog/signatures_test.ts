import assert from "node:assert/strict";
import { manifestKey, signatureKey } from "../../../src/catalog/layout.ts";
import type { BackupManifest, UnreadableBackup } from "../../../src/catalog/catalog.ts";
import { IntegrityError } from "../../../src/domain/errors.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import type { ObjectStore } from "../../../src/storage/storage.ts";
import { sampleManifest } from "../../support/manifests.ts";
import { commitWhole, newMemory, newSigningKey, signingHost } from "../../support/signing.ts";

const cluster = "main";
const SYSTEM = "7345678901234567890";

/** The backup of one day of November 2026. */
function ofDay(day: number, changes: Partial<BackupManifest> = {}): BackupManifest {
  const date = `2026-11-${String(day).padStart(2, "0")}`;
  return sampleManifest({
    id: `${date.replaceAll("-", "")}T020000Z-L`,
    startedAt: `${date}T02:00:00Z`,
    stoppedAt: `${date}T02:10:00Z`,
    ...changes,
  });
}

async function read(store: ObjectStore, key: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(await store.get(key)).arrayBuffer());
}

/** The backups that a machine takes for good, and what it says of the others. */
async function seen(host: ReturnType<typeof signingHost>) {
  const refused: UnreadableBackup[] = [];
  const backups = await host.repository.backups({ onUnreadable: (one) => void refused.push(one) });
  return { ids: backups.map(({ id }) => id), refused };
}

/** Takes a backup away as somebody does who can write to the bucket. */
async function hide(store: ObjectStore, manifest: BackupManifest): Promise<void> {
  const folder = `${cluster}/${manifest.systemIdentifier}/backups/${manifest.id}/`;
  await store.delete((await Array.fromAsync(store.list(folder))).map(({ key }) => key));
}

Deno.test("commit() signs before it commits, and readers without keys read as ever", async () => {
  const store = new MemoryStore();
  const key = newSigningKey();
  const order: string[] = [];
  const watched = new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (name === "put") order.push(String(args[0]).split("/").at(-1)!);
        return value.apply(target, args);
      };
    },
  });
  const host = signingHost(watched, { key, trusted: [key] });
  await commitWhole(host, store, ofDay(1));
  assert.deepEqual(order, ["backup.json.sig", "backup.json"]);
  assert.deepEqual((await seen(host)).ids, [ofDay(1).id]);
  assert.deepEqual((await seen(signingHost(store, {}))).ids, [ofDay(1).id]);
  const statement = await host.signatures.statement(ofDay(1));
  assert.equal(statement.sequence, 1);
  assert.deepEqual(statement.previous, []);
});

Deno.test("backups() leaves out what no trusted key signed, and backup() refuses it", async () => {
  const store = new MemoryStore();
  const [key, stranger] = [newSigningKey(), newSigningKey()];
  await commitWhole(signingHost(store, { key }), store, ofDay(1));
  await commitWhole(signingHost(store, {}), store, ofDay(2));
  await commitWhole(signingHost(store, { key: stranger }), store, ofDay(3));
  const host = signingHost(store, { trusted: [key] });
  const { ids, refused } = await seen(host);
  assert.deepEqual(ids, [ofDay(1).id]);
  assert.deepEqual(refused.map(({ reason }) => /not signed/.test(reason)), [true, true]);
  for (const day of [2, 3]) {
    await assert.rejects(host.repository.backup(ofDay(day).id), IntegrityError);
  }
  const both = signingHost(store, { trusted: [stranger, key] });
  assert.deepEqual((await seen(both)).ids, [ofDay(1).id, ofDay(3).id]);
});

Deno.test("a backup that is being removed is none that is not signed", async () => {
  const store = new MemoryStore();
  const key = newSigningKey();
  const host = signingHost(store, { key, trusted: [key] });
  await commitWhole(host, store, ofDay(1));
  await commitWhole(host, store, ofDay(2));
  // The listing still names it; its manifest goes first.
  const late = new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (name !== "get") return typeof value === "function" ? value.bind(target) : value;
      return async (key: string, options: object) => {
        if (key === signatureKey(cluster, ofDay(1))) await hide(store, ofDay(1));
        return await value.call(target, key, options);
      };
    },
  });
  const slow = new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (name !== "get") return typeof value === "function" ? value.bind(target) : value;
      return async (key: string, options: object) => {
        if (key === manifestKey(cluster, ofDay(2))) await hide(store, ofDay(2));
        return await value.call(target, key, options);
      };
    },
  });
  const first = await seen(signingHost(late, { trusted: [key] }));
  assert.deepEqual(first, { ids: [ofDay(2).id], refused: [] });
  const second = await seen(signingHost(slow, { trusted: [key] }));
  assert.deepEqual(second, { ids: [], refused: [] });
});

Deno.test("audit() counts what is hidden, and not what was removed with a signature", async () => {
  const store = new MemoryStore();
  const key = newSigningKey();
  const host = signingHost(store, { key, trusted: [key] });
  for (const day of [1, 2, 3, 4, 5, 6]) await commitWhole(host, store, ofDay(day));
  await host.signatures.signRemoval([ofDay(1), ofDay(2)]);
  for (const day of [1, 2]) await hide(store, ofDay(day));
  const audit = async () => (await signingHost(store, { trusted: [key] }).signatures.audit())[0]!;
  const clean = await audit();
  assert.deepEqual(
    [clean.signed, clean.highest, clean.newest?.id, clean.missing, clean.missingIds],
    [4, 6, ofDay(6).id, [], []],
  );
  for (const day of [3, 4]) await hide(store, ofDay(day));
  const found = await audit();
  assert.deepEqual(found.missing, [3, 4]);
  assert.deepEqual(found.missingIds, [ofDay(4).id], "the one before is not named any more");
});

Deno.test("audit() finds a repository that was rolled back by what the machine remembers", async () => {
  const store = new MemoryStore();
  const [key, memory] = [newSigningKey(), newMemory()];
  const host = signingHost(store, { key, trusted: [key], memory });
  for (const day of [1, 2, 3]) await commitWhole(host, store, ofDay(day));
  assert.equal((await host.signatures.audit())[0]!.rolledBack, undefined);
  await hide(store, ofDay(3));
  const [found] = await host.signatures.audit();
  assert.equal(found!.rolledBack?.id, ofDay(3).id);
  assert.equal(found!.rolledBack?.sequence, 3);
  const [stranger] = await signingHost(store, { trusted: [key] }).signatures.audit();
  assert.equal(stranger!.rolledBack, undefined, "who has not seen it cannot know");
  // The next backup goes on from what is remembered: the gap stays visible to everybody.
  await commitWhole(host, store, ofDay(4));
  const [next] = await signingHost(store, { trusted: [key] }).signatures.audit();
  assert.deepEqual([next!.highest, next!.missing, next!.missingIds], [4, [3], [ofDay(3).id]]);
  assert.equal((await host.signatures.audit())[0]!.rolledBack, undefined);
});

Deno.test("a newest backup that was removed with a signature is not missed", async () => {
  const store = new MemoryStore();
  const [key, memory] = [newSigningKey(), newMemory()];
  const host = signingHost(store, { key, trusted: [key], memory });
  for (const day of [1, 2]) await commitWhole(host, store, ofDay(day));
  await host.signatures.signRemoval([ofDay(2)]);
  await hide(store, ofDay(2));
  const forgetful = signingHost(store, { key, trusted: [key] });
  const [found] = await host.signatures.audit();
  assert.deepEqual([found!.rolledBack, found!.missing, found!.newest], [undefined, [], undefined]);
  await commitWhole(forgetful, store, ofDay(3));
  assert.equal((await host.signatures.statement(ofDay(3))).sequence, 3, "no number is used twice");
});

Deno.test("two hosts that sign at once fork the chain, and neither backup can be hidden", async () => {
  const key = newSigningKey();
  for (const hidden of [2, 3]) {
    const store = new MemoryStore();
    const host = signingHost(store, { key, trusted: [key] });
    await commitWhole(host, store, ofDay(1));
    await Promise.all([2, 3].map((day) => commitWhole(host, store, ofDay(day))));
    const [second, third] = await Promise.all(
      [2, 3].map((day) => host.signatures.statement(ofDay(day))),
    );
    await commitWhole(host, store, ofDay(4));
    const last = await host.signatures.statement(ofDay(4));
    if (second!.sequence === third!.sequence) {
      assert.deepEqual(last.previous.map(({ id }) => id).sort(), [ofDay(2).id, ofDay(3).id]);
    }
    assert.deepEqual((await host.signatures.audit())[0]!.missing, []);
    await hide(store, ofDay(hidden));
    const [found] = await host.signatures.audit();
    assert.deepEqual(found!.missingIds, [ofDay(hidden).id]);
    assert.equal(found!.missing.length, 1);
  }
});

Deno.test("what another cluster's or a stranger's removal says explains nothing", async () => {
  const store = new MemoryStore();
  const [key, stranger] = [newSigningKey(), newSigningKey()];
  const host = signingHost(store, { key, trusted: [key] });
  for (const day of [1, 2, 3]) await commitWhole(host, store, ofDay(day));
  await signingHost(store, { key: stranger, trusted: [key] }).signatures.signRemoval([ofDay(2)]);
  const other = signingHost(store, { cluster: "other", key, trusted: [key] });
  for (const day of [1, 2]) await commitWhole(other, store, ofDay(day, { cluster: "other" }));
  await other.signatures.signRemoval([ofDay(2)]);
  for await (const { key } of store.list(`other/${SYSTEM}/removed/`)) {
    await store.put(key.replace("other/", "main/"), await read(store, key));
  }
  await hide(store, ofDay(2));
  assert.deepEqual((await host.signatures.audit())[0]!.missing, [2]);
});

Deno.test("a run that was killed between signature and manifest leaves no gap", async () => {
  const store = new MemoryStore();
  const key = newSigningKey();
  const host = signingHost(store, { key, trusted: [key] });
  await commitWhole(host, store, ofDay(1));
  await commitWhole(host, store, ofDay(2));
  await store.delete([manifestKey(cluster, ofDay(2))]); // as if it had not come to be
  const unfinished: string[] = [];
  const backups = await host.repository.backups({
    onUnfinished: ({ id }) => void unfinished.push(id),
  });
  assert.deepEqual([backups.length, unfinished], [1, [ofDay(2).id]]);
  const [found] = await host.signatures.audit();
  assert.deepEqual([found!.highest, found!.missing], [1, []]);
  await commitWhole(host, store, ofDay(3));
  const next = await host.signatures.statement(ofDay(3));
  assert.deepEqual([next.sequence, next.previous.map(({ id }) => id)], [2, [ofDay(1).id]]);
});

Deno.test("statement() takes a signature in its own place only", async () => {
  const store = new MemoryStore();
  const key = newSigningKey();
  const host = signingHost(store, { key, trusted: [key] });
  await commitWhole(host, store, ofDay(1));
  const signed = await read(store, signatureKey(cluster, ofDay(1)));
  for (const place of [ofDay(2), ofDay(1, { systemIdentifier: "7400000000000000001" })]) {
    await store.put(manifestKey(cluster, place), new Uint8Array());
    await store.put(signatureKey(cluster, place), signed);
    await assert.rejects(host.signatures.statement(place), /is signed for/);
  }
  await host.signatures.signRemoval([ofDay(1)]);
  for await (const info of store.list(`${cluster}/${SYSTEM}/removed/`)) {
    await store.put(signatureKey(cluster, ofDay(1)), await read(store, info.key));
  }
  await assert.rejects(host.signatures.statement(ofDay(1)), /says something else/);
});

Deno.test("signExisting() signs what has no signature, oldest first, and nothing else", async () => {
  const store = new MemoryStore();
  const [key, stranger] = [newSigningKey(), newSigningKey()];
  for (const day of [1, 2]) await commitWhole(signingHost(store, {}), store, ofDay(day));
  await commitWhole(signingHost(store, { key: stranger }), store, ofDay(3));
  const host = signingHost(store, { key, trusted: [key] });
  const all = [1, 2, 3].map((day) => ofDay(day));
  const signed = await host.signatures.signExisting(all, { limit: 100_000 });
  assert.deepEqual(signed.map(({ id }) => id), [ofDay(1).id, ofDay(2).id]);
  assert.deepEqual((await seen(host)).ids, [ofDay(1).id, ofDay(2).id]);
  const second = await host.signatures.statement(ofDay(2));
  assert.deepEqual([second.sequence, second.previous.map(({ id }) => id)], [2, [ofDay(1).id]]);
});

Deno.test("discard() leaves no signature of a backup that was not committed", async () => {
  const store = new MemoryStore();
  const key = newSigningKey();
  const failing = new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (name === "put" && String(args[0]).endsWith("/backup.json")) throw new Error("cut off");
        return value.apply(target, args);
      };
    },
  });
  const host = signingHost(failing, { key, trusted: [key] });
  await assert.rejects(commitWhole(host, store, ofDay(1)), /cut off/);
  const { id } = ofDay(1);
  await host.repository.discard({ id, folder: host.repository.folder(ofDay(1)) });
  assert.deepEqual(await Array.fromAsync(store.list("")), []);
});
