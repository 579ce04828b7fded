import assert from "node:assert/strict";
import fc from "fast-check";
import type { BackupManifest, UnreadableBackup } from "../../../src/catalog/catalog.ts";
import { manifestKey } from "../../../src/catalog/layout.ts";
import { openRepository } from "../../../src/catalog/repository.ts";
import { stableJson } from "../../../src/catalog/stable_json.ts";
import {
  IntegrityError,
  NothingMatchesError,
  ObjectExistsError,
  RepositoryError,
  StorageError,
  UsageError,
} from "../../../src/domain/errors.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";
import type { Body } from "../../../src/storage/body.ts";
import type { ObjectStore, PutOptions } from "../../../src/storage/storage.ts";
import { manifests, sampleManifest, samplePhysical } from "../../support/manifests.ts";

const cluster = "main";
const utf8 = new TextEncoder();
const now = new Date("2026-11-23T02:24:15.120Z");
const clock = { now: () => now, monotonic: () => 0 };

const open = (store: ObjectStore) => openRepository(store, { cluster, clock });

/** Stores a backup's objects with their promised sizes. */
async function storeObjects(store: ObjectStore, manifest: BackupManifest): Promise<void> {
  const folder = open(store).folder(manifest);
  for (const { key, storedBytes } of manifest.objects) {
    await store.put(folder + key, new Uint8Array(storedBytes));
  }
}

async function commitAll(store: ObjectStore, all: readonly BackupManifest[]): Promise<void> {
  for (const manifest of all) await putManifest(store, manifest);
}

function putManifest(store: ObjectStore, manifest: BackupManifest, place = manifest) {
  return store.put(manifestKey(cluster, place), utf8.encode(stableJson(manifest)));
}

async function text(store: ObjectStore, key: string): Promise<string> {
  return await new Response(await store.get(key)).text();
}

async function keys(store: ObjectStore, prefix = ""): Promise<string[]> {
  return (await Array.fromAsync(store.list(prefix))).map(({ key }) => key);
}

/** Counts what is asked of a store. */
function counting(store: ObjectStore) {
  const calls: string[] = [];
  const proxy = new Proxy(store, {
    get(target, name, receiver) {
      const value = Reflect.get(target, name, receiver);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        calls.push(`${String(name)} ${String(args[0])}`);
        return value.apply(target, args);
      };
    },
  });
  return { store: proxy, calls };
}

Deno.test("openRepository() refuses a cluster's name that is a path", () => {
  assert.throws(() => openRepository(new MemoryStore(), { cluster: "../x" }), UsageError);
});

Deno.test("prepare() creates repository.json once and finds out about conditional writes", async () => {
  const store = new MemoryStore();
  await open(store).prepare();
  const first = await text(store, "main/repository.json");
  assert.deepEqual(JSON.parse(first), {
    format: "backupctl.repository",
    version: 1,
    cluster,
    createdAt: now.toISOString(),
    conditionalPut: true,
  });
  await open(store).prepare();
  assert.equal(await text(store, "main/repository.json"), first);
  assert.deepEqual(await keys(store), ["main/repository.json"]);
});

Deno.test("prepare() records that a store does not honour conditions", async () => {
  class Careless extends MemoryStore {
    override put(key: string, body: Parameters<ObjectStore["put"]>[1], options: PutOptions = {}) {
      const { ifAbsent: _, ifMatch: __, ...rest } = options;
      return super.put(key, body, rest);
    }
  }
  const store = new Careless();
  await open(store).prepare();
  const { conditionalPut } = JSON.parse(await text(store, "main/repository.json"));
  assert.equal(conditionalPut, false);
});

const HEADS = [
  { what: "is newer", json: { format: "backupctl.repository", version: 2 }, hint: /^upgrade/ },
  { what: "is something else", json: { format: "borg" }, hint: /another program/ },
  {
    what: "is another cluster's",
    json: {
      format: "backupctl.repository",
      version: 1,
      cluster: "other",
      createdAt: "x",
      conditionalPut: null,
    },
    hint: /copied/,
  },
];

for (const { what, json, hint } of HEADS) {
  Deno.test(`every call refuses a repository.json that ${what}`, async () => {
    const store = new MemoryStore();
    await store.put("main/repository.json", utf8.encode(JSON.stringify(json)));
    const repository = open(store);
    const calls = [() => repository.prepare(), () => repository.backups()];
    for (const call of calls) {
      await assert.rejects(call(), (error) => {
        assert.ok(error instanceof RepositoryError);
        assert.match(error.hint ?? "", hint);
        return true;
      });
    }
    assert.equal(await text(store, "main/repository.json"), JSON.stringify(json));
  });
}

Deno.test("prepare() does not take an unreachable store for an empty one", async () => {
  class Down extends MemoryStore {
    override get(): Promise<never> {
      return Promise.reject(new StorageError("503"));
    }
  }
  const store = new Down();
  await assert.rejects(open(store).prepare(), /503/);
  assert.deepEqual(await keys(store), []);
});

Deno.test("backups() throws RepositoryError when there is no repository", async () => {
  const store = new MemoryStore();
  await store.put("mainframe/repository.json", utf8.encode("{}"));
  await assert.rejects(open(store).backups(), RepositoryError);
});

Deno.test("backups() of a repository that lost its repository.json still answers", async () => {
  const store = new MemoryStore();
  await putManifest(store, sampleManifest());
  assert.equal((await open(store).backups()).length, 1);
});

Deno.test("backups() returns what was committed, by stop time", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(manifests(cluster), { maxLength: 8, selector: ({ id }) => id }),
      async (all) => {
        const store = new MemoryStore();
        await open(store).prepare();
        await commitAll(store, all);
        const found = await open(store).backups();
        const times = found.map(({ stoppedAt }) => Date.parse(stoppedAt));
        assert.deepEqual(times, times.toSorted((a, b) => a - b));
        const byId = (a: BackupManifest, b: BackupManifest) => a.id < b.id ? -1 : 1;
        assert.deepEqual(found.toSorted(byId), all.toSorted(byId));
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("backups() hides no broken, foreign, newer or misplaced manifest", async () => {
  const store = new MemoryStore();
  await open(store).prepare();
  const good = sampleManifest();
  const at = (id: string) => ({ ...good, id });
  await putManifest(store, good);
  await putManifest(
    store,
    { ...at("20261123T030000Z-L"), cluster: "other" },
    at("20261123T030000Z-L"),
  );
  await putManifest(store, good, at("20261123T040000Z-L"));
  const cut = manifestKey(cluster, at("20261123T050000Z-L"));
  await store.put(cut, utf8.encode(stableJson(good).slice(0, 100)));
  const newer = manifestKey(cluster, at("20261123T060000Z-L"));
  await store.put(newer, utf8.encode('{"format":"backupctl.backup","version":9}'));
  const misplaced = "main/7345678901234567890/backups/copy/backup.json";
  await store.put(misplaced, utf8.encode(stableJson(good)));
  const unreadable: UnreadableBackup[] = [];
  const found = await open(store).backups({ onUnreadable: (backup) => unreadable.push(backup) });
  assert.deepEqual(found.map(({ id }) => id), [good.id]);
  const reasons = new Map(unreadable.map(({ key, reason }) => [key.split("/")[3]!, reason]));
  assert.equal(reasons.size, 5);
  assert.match(reasons.get("20261123T030000Z-L")!, /cluster is "other"/);
  assert.match(reasons.get("20261123T040000Z-L")!, /id is/);
  assert.match(reasons.get("20261123T050000Z-L")!, /not a manifest/);
  assert.match(reasons.get("20261123T060000Z-L")!, /upgrade backupctl/);
  assert.match(reasons.get("copy")!, /no backup's name/);
});

Deno.test("backups() reads manifests only and leaps over WAL and chunks", async () => {
  const store = new MemoryStore();
  await open(store).prepare();
  const all = [
    samplePhysical(),
    samplePhysical({ id: "20261122T020000Z-F-2" }),
    sampleManifest(),
    sampleManifest({ systemIdentifier: "9" }),
  ];
  await commitAll(store, all);
  for (const manifest of all) {
    const folder = open(store).folder(manifest);
    for (let number = 0; number < 2500; number++) {
      await store.put(`${folder}chunks/${number}.tar.zst`, utf8.encode("x"));
    }
    const wal = `main/${manifest.systemIdentifier}/wal/00000001/${"0".repeat(16)}`;
    for (let number = 0; number < 3000; number++) {
      await store.put(`${wal}/${number}`, utf8.encode("x"));
    }
  }
  const counted = counting(store);
  const listed: string[] = [];
  const list = store.list.bind(store);
  store.list = async function* (prefix, options) {
    for await (const info of list(prefix, options)) {
      listed.push(info.key);
      yield info;
    }
  };
  const found = await open(counted.store).backups();
  assert.equal(found.length, all.length);
  const gets = counted.calls.filter((call) => call.startsWith("get "));
  assert.equal(gets.length, 1 + all.length);
  assert.ok(listed.length < 4 * 1100, `${listed.length} keys were listed`);
  const lists = counted.calls.filter((call) => call.startsWith("list "));
  assert.ok(lists.length <= 1 + 4 + 2, `${lists.length} listings`);
});

Deno.test("backup() returns the named one and otherwise the nearest names", async () => {
  const store = new MemoryStore();
  await open(store).prepare();
  await assert.rejects(open(store).backup("x"), (error) => {
    assert.ok(error instanceof NothingMatchesError);
    assert.match(error.hint!, /no backup yet/);
    return true;
  });
  await commitAll(store, [sampleManifest(), samplePhysical()]);
  assert.deepEqual(await open(store).backup(samplePhysical().id), samplePhysical());
  await assert.rejects(open(store).backup("20261122T02000Z-F"), (error) => {
    assert.ok(error instanceof NothingMatchesError);
    assert.match(error.hint!, /^did you mean 20261122T020000Z-F\?/);
    return true;
  });
  const ids = [samplePhysical().id, sampleManifest().id].join(", ");
  for (const text of ["2026112", "yesterday"]) {
    await assert.rejects(open(store).backup(text), (error) => {
      assert.ok(error instanceof NothingMatchesError);
      assert.ok(error.hint!.startsWith(`did you mean ${ids}?`), error.hint);
      return true;
    });
  }
});

Deno.test("backup() throws IntegrityError for a damaged manifest", async () => {
  const store = new MemoryStore();
  await store.put(manifestKey(cluster, sampleManifest()), utf8.encode("{"));
  await assert.rejects(open(store).backup(sampleManifest().id), IntegrityError);
});

Deno.test("begin() gives the next free name of the second and holds it", async () => {
  const store = new MemoryStore();
  const options = { method: "physical", kind: "full", startedAt: now } as const;
  const first = await open(store).begin("7", options);
  const id = "20261123T022415Z-F";
  assert.deepEqual(first, { id, folder: `main/7/backups/${id}/` });
  assert.deepEqual(await keys(store), [`${first.folder}claim`]);
  await store.put(`${first.folder}chunks/0001.tar.zst`, utf8.encode("x"));
  const second = await open(store).begin("7", options);
  assert.equal(second.id, `${id}-2`);
  assert.equal((await open(store).begin("7", options)).id, `${id}-3`);
  assert.equal((await open(store).begin("8", options)).id, id);
  await open(store).discard(second);
  assert.equal((await open(store).begin("7", options)).id, `${id}-2`);
});

Deno.test("begin() gives runs of the same second names of their own", async () => {
  const store = new MemoryStore();
  const options = { method: "physical", kind: "full", startedAt: now } as const;
  const slots = await Promise.all(
    Array.from({ length: 5 }, () => open(store).begin("7", options)),
  );
  assert.equal(new Set(slots.map(({ id }) => id)).size, 5, JSON.stringify(slots));
});

Deno.test("begin() leaves a folder that was filled between its look and its claim", async () => {
  class Overtaken extends MemoryStore {
    override async put(key: string, body: Body, options?: PutOptions) {
      if (key === `${folder}claim`) await super.put(`${folder}backup.json`, utf8.encode("{}"));
      return await super.put(key, body, options);
    }
  }
  const id = "20261123T022415Z-F";
  const folder = `main/7/backups/${id}/`;
  const store = new Overtaken();
  const options = { method: "physical", kind: "full", startedAt: now } as const;
  const slot = await open(store).begin("7", options);
  assert.equal(slot.id, `${id}-2`);
  assert.deepEqual(await keys(store), [`${slot.folder}claim`, `${folder}backup.json`]);
});

Deno.test("begin() holds no folder when it is interrupted", async () => {
  const aborter = new AbortController();
  class Interrupted extends MemoryStore {
    override async put(key: string, body: Body, options?: PutOptions) {
      const info = await super.put(key, body, options);
      aborter.abort(new Error("interrupted"));
      return info;
    }
  }
  const store = new Interrupted();
  const { signal } = aborter;
  const options = { method: "physical", kind: "full", startedAt: now, signal } as const;
  await assert.rejects(open(store).begin("7", options), /interrupted/);
  assert.deepEqual(await keys(store), []);
});

Deno.test("begin() knows its own claim when the reply to it was lost", async () => {
  class Forgetful extends MemoryStore {
    override async put(key: string, body: Body, options?: PutOptions) {
      await super.put(key, body, options);
      return await super.put(key, utf8.encode("again"), options); // the adapter's second try
    }
  }
  const options = { method: "physical", kind: "full", startedAt: now } as const;
  assert.equal((await open(new Forgetful()).begin("7", options)).id, "20261123T022415Z-F");
});

Deno.test("commit() does not let an interruption cut the manifest's put in the middle", async () => {
  const aborter = new AbortController();
  class Interrupted extends MemoryStore {
    override async put(key: string, body: Body, options: PutOptions = {}) {
      if (!key.endsWith("/backup.json")) return await super.put(key, body, options);
      const info = await super.put(key, body, options);
      aborter.abort(new Error("interrupted"));
      options.signal?.throwIfAborted();
      return info;
    }
  }
  const store = new Interrupted();
  const manifest = sampleManifest();
  await storeObjects(store, manifest);
  await open(store).commit(manifest, aborter.signal);
  assert.deepEqual(await open(store).backup(manifest.id), manifest);
});

Deno.test("commit() frees the folder that begin() held", async () => {
  const store = new MemoryStore();
  const manifest = sampleManifest();
  await storeObjects(store, manifest);
  await store.put(`${open(store).folder(manifest)}claim`, utf8.encode("token"));
  await open(store).commit(manifest);
  assert.deepEqual((await keys(store)).filter((key) => key.endsWith("/claim")), []);
});

Deno.test("commit() writes stable JSON once all objects are there", async () => {
  const store = new MemoryStore();
  const manifest = sampleManifest();
  await storeObjects(store, manifest);
  const reordered = Object.fromEntries(Object.entries(manifest).reverse()) as never;
  const info = await open(store).commit(reordered);
  assert.equal(info.key, manifestKey(cluster, manifest));
  assert.equal(await text(store, info.key), stableJson(manifest));
});

Deno.test("commit() refuses a missing object and one of another size", async () => {
  const manifest = sampleManifest();
  const [first] = manifest.objects;
  const missing = new MemoryStore();
  await assert.rejects(open(missing).commit(manifest), IntegrityError);
  assert.deepEqual(await keys(missing), []);
  const shorter = new MemoryStore();
  await storeObjects(shorter, manifest);
  const key = open(shorter).folder(manifest) + first!.key;
  await shorter.put(key, new Uint8Array(first!.storedBytes - 1));
  await assert.rejects(open(shorter).commit(manifest), /has 299 bytes in the store, 300/);
  assert.equal(await shorter.head(manifestKey(cluster, manifest)), undefined);
});

Deno.test("commit() never replaces a manifest, and takes its own for success", async () => {
  const store = new MemoryStore();
  const manifest = sampleManifest();
  await storeObjects(store, manifest);
  await open(store).commit(manifest);
  await open(store).commit(manifest);
  const other = { ...manifest, label: "other" };
  await assert.rejects(open(store).commit(other), ObjectExistsError);
  assert.deepEqual(await open(store).backup(manifest.id), manifest);
});

Deno.test("commit() refuses what nobody could read, such as another cluster's manifest", async () => {
  const store = new MemoryStore();
  const manifest = sampleManifest({ cluster: "other" });
  await storeObjects(store, manifest);
  await assert.rejects(open(store).commit(manifest), IntegrityError);
});

Deno.test("discard() removes an abandoned backup's objects and nothing else", async () => {
  const store = new MemoryStore();
  const slot = { id: "20261123T022415Z-F", folder: "main/7/backups/20261123T022415Z-F/" };
  for (let number = 0; number < 1005; number++) {
    await store.put(`${slot.folder}chunks/${number}`, utf8.encode("x"));
  }
  await store.put("main/7/backups/20261123T022415Z-F-2/chunks/1", utf8.encode("x"));
  await open(store).discard(slot);
  assert.deepEqual(await keys(store), ["main/7/backups/20261123T022415Z-F-2/chunks/1"]);
});

Deno.test("discard() never touches a committed backup", async () => {
  const store = new MemoryStore();
  const manifest = sampleManifest();
  await storeObjects(store, manifest);
  await open(store).commit(manifest);
  const before = await keys(store);
  await open(store).discard({ id: manifest.id, folder: open(store).folder(manifest) });
  assert.deepEqual(await keys(store), before);
});

Deno.test("discard() leaves everything when the store cannot say whether it was committed", async () => {
  class Blind extends MemoryStore {
    override head(): Promise<never> {
      return Promise.reject(new StorageError("503"));
    }
  }
  const store = new Blind();
  await store.put("main/7/backups/x/a", utf8.encode("x"));
  await open(store).discard({ id: "x", folder: "main/7/backups/x/" });
  assert.deepEqual(await keys(store), ["main/7/backups/x/a"]);
});
