/** What is left on the host between two calls, and what it is good for. */
import assert from "node:assert/strict";
import { walOpener } from "../../../src/cli/wal/wal_open.ts";
import { walSealer } from "../../../src/cli/wal/wal_seal.ts";
import {
  generateIdentity,
  KeyRing,
  ObjectOpener,
  readSealHeader,
  wrapKey,
} from "../../../src/crypto/crypto.ts";
import type { Bytes } from "../../../src/domain/bytes.ts";
import { ConfigError } from "../../../src/domain/errors.ts";
import type { HoldWal } from "../../../src/engine/wal/sealed_wal.ts";
import { MemoryStore } from "../../../src/storage/memory.ts";

const { identity, recipient } = await generateIdentity();
const other = await generateIdentity();
const SETTINGS = { cluster: "main", encryption: { recipients: [recipient] } };
const TEXT: Bytes = new TextEncoder().encode("a segment");
const KEY = "main/1/wal/00000001/00000000/000000010000000000000001.zst";

interface World {
  readonly store: MemoryStore;
  readonly folder: string;
  /** Seals one object, as a call of its own would. */
  readonly seal: (
    changes?: { readonly recipients?: readonly string[]; readonly hours?: number },
  ) => Promise<Bytes>;
  readonly kept: () => { readonly step: number; readonly secret: string; readonly id: string };
}

/** One object, as a call of its own would make it. */
async function sealed(hold: HoldWal): Promise<Bytes> {
  const held = await hold(KEY, {});
  held.push(TEXT);
  return await held.end({ tag: "ab".repeat(32) });
}

function sealTest(title: string, run: (world: World) => Promise<void>): void {
  Deno.test(title, async () => {
    const folder = await Deno.makeTempDir({ prefix: "backupctl-seal-" });
    const store = new MemoryStore();
    const begun = Date.UTC(2026, 10, 23);
    try {
      await run({
        ...{ store, folder },
        seal: async ({ recipients = [recipient], hours = 0 } = {}) => {
          const clock = {
            now: () => new Date(begun + hours * 3_600_000),
            monotonic: () => 0,
          };
          const settings = { ...SETTINGS, encryption: { recipients } };
          return await sealed(walSealer(settings, { store, folder, clock }));
        },
        kept: () => JSON.parse(Deno.readTextFileSync(`${folder}/data-key.json`)),
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

function headerOf(sealed: Bytes) {
  return readSealHeader(sealed)!.header;
}

async function registered(store: MemoryStore): Promise<readonly string[]> {
  return (await Array.fromAsync(store.list("main/keys/"))).map(({ key }) => key);
}

sealTest("calls share a data key, each at a step of its own", async ({ seal, store }) => {
  const headers = [headerOf(await seal()), headerOf(await seal()), headerOf(await seal())];
  assert.deepEqual(headers.map(({ step }) => step), [0, 1, 2]);
  assert.equal(new Set(headers.map(({ keyId }) => keyId)).size, 1);
  assert.equal((await registered(store)).length, 1);
});

sealTest("what is kept opens nothing of what was sealed before", async ({ seal, kept }) => {
  const sealed = [await seal(), await seal(), await seal()];
  const { secret, step } = kept();
  assert.equal(step, 3);
  const thief = await generateIdentity();
  const wrapped = await wrapKey(new Uint8Array(Buffer.from(secret, "base64")), [thief.recipient]);
  for (const object of sealed) {
    // Whatever step the thief claims it to be of.
    const opener = new ObjectOpener(
      new KeyRing({
        identities: () => Promise.resolve([thief.identity]),
        rewrapped: () => Promise.resolve([wrapped]),
      }),
    );
    await assert.rejects(opener.open(KEY, object));
  }
});

sealTest("a file of the host's user alone holds it", async ({ seal, folder }) => {
  await seal();
  const { mode } = await Deno.stat(`${folder}/data-key.json`);
  assert.equal(mode! & 0o777, 0o600);
  assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["data-key.json"]);
});

sealTest("new recipients, a day, and a damaged file each get a new key", async (world) => {
  const { seal, store, folder } = world;
  const ids = [headerOf(await seal()).keyId];
  ids.push(headerOf(await seal({ recipients: [other.recipient] })).keyId);
  ids.push(headerOf(await seal({ recipients: [other.recipient], hours: 25 })).keyId);
  for (const text of ["", "{}", "null", `{"secret":"AA=="}`]) {
    await Deno.writeTextFile(`${folder}/data-key.json`, text);
    ids.push(headerOf(await seal()).keyId);
  }
  assert.equal(new Set(ids).size, ids.length);
  assert.equal((await registered(store)).length, ids.length);
});

sealTest("a step that cannot be replaced seals nothing more", async ({ seal, kept }) => {
  const first = headerOf(await seal());
  const { renameSync, removeSync } = Deno;
  const refuse = () => {
    throw new Deno.errors.PermissionDenied("the folder is read-only now");
  };
  try {
    Object.assign(Deno, { renameSync: refuse, removeSync: refuse });
    const ids = [first, headerOf(await seal()), headerOf(await seal())].map(({ keyId }) => keyId);
    assert.equal(new Set(ids).size, 3);
    assert.equal(kept().step, 1);
  } finally {
    Object.assign(Deno, { renameSync, removeSync });
  }
});

Deno.test("the registering of a key ends when the call does", async () => {
  const options = { store: new MemoryStore(), folder: undefined, signal: AbortSignal.abort() };
  await assert.rejects(sealed(walSealer(SETTINGS, options)), { name: "AbortError" });
});

sealTest("after 4,096 objects there is a new key", async ({ seal, kept, folder }) => {
  await seal();
  await Deno.writeTextFile(`${folder}/data-key.json`, JSON.stringify({ ...kept(), step: 4095 }));
  const last = headerOf(await seal());
  const next = headerOf(await seal());
  assert.deepEqual([last.step, next.step], [4095, 0]);
  assert.notEqual(last.keyId, next.keyId);
});

Deno.test("a key that could not be registered seals nothing", async () => {
  const store = new MemoryStore();
  const failing = {
    location: store.location,
    get: store.get.bind(store),
    head: store.head.bind(store),
    list: store.list.bind(store),
    delete: store.delete.bind(store),
    put: () => Promise.reject(new Error("no room")),
  };
  const seal = walSealer(SETTINGS, { store: failing, folder: undefined });
  await assert.rejects(sealed(seal), /no room/);
});

Deno.test("without a folder each call has a key of its own, and without recipients none", async () => {
  const store = new MemoryStore();
  const seal = () => sealed(walSealer(SETTINGS, { store, folder: undefined }));
  const [one, two] = [headerOf(await seal()), headerOf(await seal())];
  assert.notEqual(one.keyId, two.keyId);
  const settings = { cluster: "main", encryption: { identityFile: "/x" } };
  assert.throws(() => walSealer(settings, { store, folder: undefined }), ConfigError);
});

Deno.test("walOpener() opens what walSealer() sealed, in any order", async () => {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-seal-" });
  try {
    const store = new MemoryStore();
    const identityFile = `${folder}/identity.txt`;
    await Deno.writeTextFile(identityFile, `# a comment\n\n${other.identity}\n${identity}\n`);
    const seal = walSealer(SETTINGS, { store, folder });
    const objects = [await sealed(seal), await sealed(seal), await sealed(seal)];
    const open = walOpener({ cluster: "main", encryption: { identityFile } }, store)!;
    for (const at of [2, 0, 1, 2]) assert.deepEqual(await open(KEY, objects[at]!), TEXT);
    assert.equal(walOpener({ cluster: "main" }, store), undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
