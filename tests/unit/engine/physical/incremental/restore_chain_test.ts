import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import type { BackupManifest } from "../../../../../src/catalog/catalog.ts";
import { WorkerPool } from "../../../../../src/codec/worker_pool.ts";
import type { Bytes } from "../../../../../src/domain/bytes.ts";
import { IntegrityError } from "../../../../../src/domain/errors.ts";
import { readFileList } from "../../../../../src/engine/physical/incremental/file_list.ts";
import { MemoryStore } from "../../../../../src/storage/memory.ts";
import { changes, FakeChain } from "../../../../support/fake_chains.ts";
import { fileTree } from "../../../../support/file_tree.ts";
import { FULL_FAULTS } from "../../../../support/wal_rig.ts";

const FOLDER = "main/7345678901234567890/backups";

/** What pg_verifybackup compares: every listed file, and no other. */
async function verify(destination: string): Promise<void> {
  const manifest = (async function* () {
    yield await Deno.readFile(`${destination}/backup_manifest`);
  })();
  const listed = await readFileList(manifest);
  for (const [path, { size, checksum }] of listed) {
    const bytes = await Deno.readFile(`${destination}/${path}`);
    assert.equal(bytes.length, size, path);
    assert.equal(createHash("sha256").update(bytes).digest("hex"), checksum, path);
  }
  const files = [...await fileTree(destination)]
    .filter(([path, what]) => what.startsWith("file") && !path.startsWith("pg_wal/"))
    .map(([path]) => path).filter((path) => path !== "backup_manifest");
  assert.deepEqual(
    files.filter((path) => path !== "postgresql.auto.conf"),
    [...listed.keys()].sort(),
  );
}

/** Without folders: standard ones that no backup of this test has are made as well. */
async function filesOf(folder: string): Promise<Map<string, string>> {
  return new Map([...await fileTree(folder)].filter(([, what]) => !what.startsWith("folder")));
}

async function holds(destination: string, state: ReadonlyMap<string, Bytes>): Promise<void> {
  for (const [path, bytes] of state) {
    const found = await Deno.readFile(`${destination}/${path}`);
    // Zeros at the end that no log knows of are found again, or not: PostgreSQL needs neither.
    assert.ok(found.length <= bytes.length, `${path} has ${found.length} bytes of ${bytes.length}`);
    assert.ok(bytes.subarray(found.length).every((byte) => byte === 0), `${path} is cut`);
    assert.ok(bytes.subarray(0, found.length).every((byte, at) => byte === found[at]), path);
  }
}

Deno.test("RestoreEngine.restore() brings every link of any chain back, also over another link", async () => {
  using codecs = new WorkerPool(2);
  await fc.assert(
    fc.asyncProperty(changes, fc.nat(), async (history, start) => {
      const folder = await Deno.makeTempDir({ prefix: "backupctl-chain-" });
      const chain = new FakeChain(new MemoryStore(), codecs);
      const links = [{ backup: await chain.backUp(), state: chain.state() }];
      for (const step of history) {
        for (const change of step) chain.change(change);
        links.push({ backup: await chain.backUp(links.at(-1)!.backup), state: chain.state() });
      }
      for (const [index, { backup, state }] of links.entries()) {
        const destination = `${folder}/${index}`;
        await chain.restore(backup, { destination });
        await holds(destination, state);
        await verify(destination);
        assert.match(
          await Deno.readTextFile(`${destination}/backup_label`),
          /^START.*\nLABEL: x\n$/,
        );
      }
      const [from, to] = [start % links.length, (start * 7 + 1) % links.length];
      const fresh = await filesOf(`${folder}/${to}`);
      await chain.restore(links[to]!.backup, { destination: `${folder}/${from}`, delta: true });
      assert.deepEqual(await filesOf(`${folder}/${from}`), fresh);
      await Deno.remove(folder, { recursive: true });
    }),
    { numRuns: FULL_FAULTS ? 300 : 5 },
  );
});

/** A full backup and an increment on it. */
async function pair(codecs: WorkerPool) {
  const chain = new FakeChain(new MemoryStore(), codecs);
  const full = await chain.backUp();
  chain.change({ kind: "write", relation: 0, block: 2 });
  return { chain, full, increment: await chain.backUp(full) };
}

async function replaceManifest(chain: FakeChain, backup: BackupManifest, changed: BackupManifest) {
  const key = `${FOLDER}/${backup.id}/backup.json`;
  await chain.store.delete([key]);
  await chain.store.put(key, new TextEncoder().encode(JSON.stringify(changed)));
}

const damage: readonly (readonly [
  string,
  RegExp,
  (
    world: Awaited<ReturnType<typeof pair>>,
  ) => Promise<void>,
])[] = [
  [
    "the parent's manifest is gone",
    /which .*-I is on top of, is missing/,
    async ({ chain, full }) => {
      await chain.store.delete([`${FOLDER}/${full.id}/backup.json`]);
    },
  ],
  ["the parent's manifest cannot be read", /cannot be read/, async ({ chain, full }) => {
    await chain.store.delete([`${FOLDER}/${full.id}/backup.json`]);
    await chain.store.put(`${FOLDER}/${full.id}/backup.json`, new TextEncoder().encode("{"));
  }],
  [
    "the parents go round in a circle",
    /leads back to itself/,
    async ({ chain, full, increment }) => {
      const { startLsn } = increment;
      const other = { ...full, id: "20261122T030000Z-I", kind: "incremental" as const, startLsn };
      await replaceManifest(chain, other, { ...other, parentId: increment.id });
      await replaceManifest(chain, increment, { ...increment, parentId: other.id });
    },
  ],
  ["the parent began later", /began later/, async ({ chain, full }) => {
    await replaceManifest(chain, full, { ...full, startLsn: "FF/0", stopLsn: "FF/1" });
  }],
  ["the parent is of another version", /is of PostgreSQL 12/, async ({ chain, full }) => {
    await replaceManifest(chain, full, { ...full, postgresVersion: 120_000 });
  }],
  [
    "an object of the parent is gone",
    /0001\.tar\.zst is missing in backup/,
    async ({ chain, full }) => {
      await chain.store.delete([`${FOLDER}/${full.id}/chunks/0001.tar.zst`]);
    },
  ],
  ["the parent's list of files is damaged", /is damaged/, async ({ chain, full }) => {
    const key = `${FOLDER}/${full.id}/backup_manifest.zst`;
    const bytes = await new Response(await chain.store.get(key)).bytes();
    bytes.set([(bytes.at(-3) ?? 0) ^ 1], bytes.length - 3);
    await chain.store.delete([key]);
    await chain.store.put(key, bytes);
  }],
];

for (const [what, message, act] of damage) {
  Deno.test(`RestoreEngine.restore() refuses an increment when ${what}`, async () => {
    using codecs = new WorkerPool(1);
    const world = await pair(codecs);
    await act(world);
    const folder = await Deno.makeTempDir({ prefix: "backupctl-chain-" });
    const { increment, chain } = world;
    const stored = await new Response(
      await chain.store.get(`${FOLDER}/${increment.id}/backup.json`),
    ).json();
    await assert.rejects(
      chain.restore(stored, { destination: `${folder}/new` }),
      (error) => {
        assert.ok(error instanceof IntegrityError, `${error}`);
        assert.match(error.message, message);
        return true;
      },
    );
    assert.deepEqual([...Deno.readDirSync(folder)], [], "nothing was written");
    await Deno.remove(folder, { recursive: true });
  });
}

Deno.test("RestoreEngine.restore() refuses an increment whose pages belong to a file that nobody has", async () => {
  using codecs = new WorkerPool(1);
  const chain = new FakeChain(new MemoryStore(), codecs);
  const full = await chain.backUp();
  chain.change({ kind: "create", relation: 5, blocks: 2 });
  const first = await chain.backUp(full);
  chain.change({ kind: "write", relation: 5, block: 1 });
  const second = await chain.backUp(first);
  const folder = await Deno.makeTempDir({ prefix: "backupctl-chain-" });
  await assert.rejects(
    chain.restore({ ...second, parentId: full.id }, { destination: `${folder}/new` }),
    /holds pages of base\/5\/16389, which .*-F does not have/,
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("RestoreEngine.restore() refuses a chain whose chunk lacks a file that its list promises", async () => {
  using codecs = new WorkerPool(1);
  const { chain, full, increment } = await pair(codecs);
  const other = new FakeChain(new MemoryStore(), codecs);
  other.change({ kind: "drop", relation: 0 });
  const without = await other.backUp();
  const key = `${FOLDER}/${full.id}/chunks/0001.tar.zst`;
  const swapped = await new Response(await other.store.get(key)).bytes();
  await chain.store.delete([key]);
  await chain.store.put(key, swapped);
  const chunkOf = ({ objects }: BackupManifest) => objects.find(({ role }) => role === "chunk")!;
  const chunk = { ...chunkOf(without), files: chunkOf(full).files! };
  const objects = [chunk, ...full.objects.filter(({ role }) => role !== "chunk")];
  const sum = (field: "rawBytes" | "storedBytes") =>
    objects.reduce((total, object) => total + object[field], 0);
  const changed = { objects, rawBytes: sum("rawBytes"), storedBytes: sum("storedBytes") };
  await replaceManifest(chain, full, { ...full, ...changed });
  const folder = await Deno.makeTempDir({ prefix: "backupctl-chain-" });
  await assert.rejects(
    chain.restore(increment, { destination: `${folder}/new` }),
    /-F holds 2 of the 3 files that its list promises/,
  );
  assert.equal((await fileTree(`${folder}/new`)).has("global/pg_control"), false);
  await Deno.remove(folder, { recursive: true });
});
