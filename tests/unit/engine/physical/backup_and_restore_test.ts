import assert from "node:assert/strict";
import { WorkerPool } from "../../../../src/codec/worker_pool.ts";
import { type Bytes, MiB } from "../../../../src/domain/bytes.ts";
import {
  DestinationError,
  IntegrityError,
  PostgresError,
  RunFailedError,
  StorageError,
} from "../../../../src/domain/errors.ts";
import { MemoryStore } from "../../../../src/storage/memory.ts";
import type { ObjectStore } from "../../../../src/storage/storage.ts";
import {
  CONTROL_MEMBER,
  CORE_MEMBERS,
  type FakeArchive,
  type FakeBackupOptions,
  type FakeMember,
  FakeSource,
  manifestOf,
} from "../../../support/fake_base_backup.ts";
import { fileTree } from "../../../support/file_tree.ts";
import {
  BACKUP_FOLDER,
  restoreBackup,
  type Rig,
  takeBackup,
} from "../../../support/physical_backups.ts";
import { packTar } from "modern-tar";

interface World extends Rig {
  readonly store: MemoryStore;
  /** An empty folder of this test. */
  readonly folder: string;
}

function test(title: string, run: (world: World) => Promise<void>): void {
  Deno.test(title, async () => {
    const folder = await Deno.makeTempDir({ prefix: "backupctl-physical-" });
    using codecs = new WorkerPool(2);
    try {
      await run({ store: new MemoryStore(), codecs, folder });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

function source(more: Partial<FakeBackupOptions> & { readonly members?: FakeMember[] } = {}) {
  const { members = [], ...options } = more;
  const data: FakeArchive = { members: [...CORE_MEMBERS, ...members, CONTROL_MEMBER] };
  return new FakeSource({ archives: [data], ...options });
}

const FILES: readonly FakeMember[] = [
  { name: "base/5/" },
  { name: "base/5/empty", content: "" },
  { name: "base/5/one", content: "x" },
  { name: "base/5/pages", content: bytes(3 * MiB + 8192, 1) },
  { name: "base/5/odd", content: bytes(MiB + 77, 2) },
  { name: "log/größe ✓ 'q' \n.log", content: "a file of the administrator's" },
];

for (const algorithm of ["zstd", "gzip"] as const) {
  for (const order of ["first", "last"] as const) {
    test(`restorePhysical() gives back what takePhysicalBackup() took: ${algorithm}, data directory ${order}`, async ({ folder, ...rig }) => {
      const [fast, big] = [`${folder}/old-fast`, `${folder}/old-big`];
      const archives: FakeArchive[] = [
        tablespace(16384, fast, [{ name: "PG_15_202209061/5/1", content: bytes(9000, 3) }]),
        tablespace(16390, big, [{ name: "PG_15_202209061/empty/" }]),
      ];
      const links = [{ name: "pg_tblspc/16384", link: fast }, {
        name: "pg_tblspc/16390",
        link: big,
      }];
      const data = { members: [...CORE_MEMBERS, ...links, ...FILES, CONTROL_MEMBER] };
      const from = new FakeSource({
        archives: order === "first" ? [data, ...archives] : [...archives, data],
        pieceBytes: 7777,
      });
      const backup = await takeBackup(rig, from, { codec: { algorithm, level: 1 } });
      assert.equal(from.open, 0);
      assert.equal(backup.startLsn, "0/2000028");
      assert.equal(backup.stopLsn, "0/2000100");
      assert.deepEqual(backup.tablespaces.map(({ oid }) => oid).sort(), [16384, 16390]);
      const report = await restoreBackup(rig, backup, {
        destination: `${folder}/new`,
        tablespaceMap: new Map([[fast, `${folder}/fast/er`]]),
      });
      const tree = await fileTree(`${folder}/new`);
      for (const { name, content } of [...FILES, CONTROL_MEMBER]) {
        const path = name.replace(/\/$/, "");
        const want = content === undefined ? "folder 700" : `file 600 ${length(content)} `;
        assert.ok(tree.get(path)?.startsWith(want), `${path}: ${tree.get(path)}`);
        if (content !== undefined) {
          assert.deepEqual(await Deno.readFile(`${folder}/new/${path}`), asBytes(content));
        }
      }
      assert.equal(tree.get("pg_tblspc/16384"), `→ ${folder}/fast/er`);
      assert.equal(tree.get("pg_tblspc/16390"), `→ ${big}`);
      const moved = await Deno.readFile(`${folder}/fast/er/PG_15_202209061/5/1`);
      assert.deepEqual(moved, bytes(9000, 3));
      assert.equal((await fileTree(big)).get("PG_15_202209061/empty"), "folder 700");
      assert.equal(
        await Deno.readTextFile(`${folder}/new/backup_manifest`),
        manifestOf(order === "first" ? [data, ...archives] : [...archives, data]),
      );
      assert.equal(tree.get("pg_wal/archive_status"), "folder 700");
      assert.equal(
        report.files,
        [...tree.values()].filter((text) => text.startsWith("file")).length,
      );
      await assert.rejects(Deno.stat(fast), Deno.errors.NotFound);
    });
  }
}

test("takePhysicalBackup() leaves out what belongs to the running server", async ({ folder, ...rig }) => {
  const members = ["postmaster.pid", "postmaster.opts", "standby.signal", "recovery.signal"]
    .map((name) => ({ name, content: "1\n" }));
  const kept = { name: "backup_label.old", content: "listed in PostgreSQL's manifest" };
  const backup = await takeBackup(rig, source({ members: [...members, kept] }));
  await restoreBackup(rig, backup, { destination: `${folder}/new` });
  const tree = await fileTree(`${folder}/new`);
  for (const { name } of members) assert.equal(tree.has(name), false, name);
  assert.equal(tree.has(kept.name), true);
});

test("takePhysicalBackup() counts what the store holds", async ({ store, codecs }) => {
  const backup = await takeBackup({ store, codecs }, source({ members: [...FILES] }));
  const keys = backup.objects.map(({ key }) => key).sort();
  assert.deepEqual(keys, ["backup_manifest.zst", "chunks/0001.tar.zst"]);
  for (const { key, storedBytes, sha256 } of backup.objects) {
    const stored = await readStored(store, key);
    assert.equal(stored.length, storedBytes);
    assert.equal(await sha256Of(stored), sha256);
  }
});

const refusals = [
  { what: "no backup_manifest", options: { manifest: null }, error: /backup_manifest/ },
  {
    what: "no backup_label",
    options: { archives: [{ members: [...CORE_MEMBERS.slice(1), CONTROL_MEMBER] }] },
    error: /backup_label/,
  },
  {
    what: "no pg_control",
    options: { archives: [{ members: CORE_MEMBERS }] },
    error: /pg_control/,
  },
  {
    what: "no archive for a tablespace",
    options: { tablespaces: [{ oid: 16384, location: "/x" }] },
    error: /every tablespace/,
  },
  {
    what: "the archive of an unknown tablespace",
    options: {
      archives: [{ tablespace: { oid: 1, location: "/x" }, members: [] }],
      tablespaces: [],
    },
    error: /unasked/,
  },
  {
    what: "a tablespace inside the data directory",
    members: [{ name: "pg_tblspc/16384/" }],
    error: /allow_in_place_tablespaces/,
  },
  { what: "a link", members: [{ name: "base/x", link: "/etc/passwd" }], error: /symbolic link/ },
] as const;
for (const { what, error, ...given } of refusals) {
  test(`takePhysicalBackup() refuses a server that sends ${what}`, async (world) => {
    const { options = {}, members = [] } = given as {
      options?: Partial<FakeBackupOptions>;
      members?: FakeMember[];
    };
    const from = source({ ...options, members });
    await assert.rejects(
      takeBackup(world, from),
      (reason) => reason instanceof PostgresError && error.test(reason.message),
    );
    assert.equal(from.open, 0);
  });
}

test("takePhysicalBackup() refuses when files are not those of PostgreSQL's manifest", async (world) => {
  const sent = [...CORE_MEMBERS, ...FILES, CONTROL_MEMBER];
  const listed = (members: readonly FakeMember[]) => manifestOf([{ members }]);
  const wrong = [
    listed([...sent, { name: "base/5/lost", content: "x" }]),
    listed(sent.filter(({ name }) => name !== "base/5/empty")),
    listed(sent.map((member) => ({ ...member, name: member.name.replace("odd", "add") }))),
    "{}\n",
  ];
  for (const manifest of wrong) {
    await assert.rejects(
      takeBackup(world, source({ members: [...FILES], manifest })),
      (error) => error instanceof RunFailedError && /in PostgreSQL's manifest/.test(error.message),
    );
  }
  const wal = { name: "pg_wal/archive_status/0001.done", content: "" };
  await takeBackup(world, source({ members: [...FILES], manifest: listed([...sent, wal]) }));
});

test("takePhysicalBackup() refuses a server that was promoted meanwhile", async (world) => {
  await assert.rejects(takeBackup(world, source({ stopTimeline: 2 })), RunFailedError);
});

test("takePhysicalBackup() passes on the store's failure, at the beginning and in the middle", async ({ store, codecs }) => {
  const members = [{ name: "base/big", content: bytes(20 * MiB, 5) }];
  for (const allowed of [0, 3 * MiB]) {
    const from = source({ members });
    await assert.rejects(
      takeBackup({ store: failingAfter(store, allowed), codecs }, from),
      (error) => error instanceof StorageError && /disk is full/.test(error.message),
    );
    assert.equal(from.open, 0);
  }
});

test("takePhysicalBackup() notices a store that gives up without a word to the stream", async ({ store, codecs }) => {
  const members = [{ name: "base/big", content: bytes(30 * MiB, 5) }];
  let sent = 0;
  const silent = overriding(store, {
    async put(_key, body) {
      assert.ok(body instanceof ReadableStream);
      const reader = body.getReader();
      await reader.read();
      reader.releaseLock();
      // Until the blocks behind it wait for room.
      for (let seen = -1; seen !== sent;) {
        seen = sent;
        await new Promise((resolve) => setTimeout(resolve, 150));
      }
      assert.ok(sent < 30 * MiB, "nothing waits");
      throw new StorageError("the disk is full");
    },
  });
  const from = source({ members, onEvent: (bytes) => sent = bytes });
  await assert.rejects(takeBackup({ store: silent, codecs }, from), StorageError);
});

test("takePhysicalBackup() refuses a store that holds another length than was sent", async ({ store, codecs }) => {
  const short = overriding(store, {
    put: async (...args) => {
      const info = await store.put(...args);
      return { ...info, size: info.size - 1 };
    },
  });
  await assert.rejects(
    takeBackup({ store: short, codecs }, source()),
    (error) => error instanceof StorageError && /were sent/.test(error.message),
  );
});

test("takePhysicalBackup() has no upload under way when it fails, and stores no part of one", async ({ store, codecs }) => {
  let running = 0;
  const counting = overriding(store, {
    put: async (...args) => {
      running += 1;
      return await store.put(...args).finally(() => running -= 1);
    },
  });
  const reason = new PostgresError("the connection broke");
  const from = source({
    members: [{ name: "base/big", content: bytes(20 * MiB, 5) }],
    onEvent: (sent) => {
      if (sent > 9 * MiB) throw reason;
    },
  });
  await assert.rejects(takeBackup({ store: counting, codecs }, from), (error) => error === reason);
  assert.equal(running, 0);
  assert.deepEqual(await Array.fromAsync(store.list("")), []);
});

test("takePhysicalBackup() leaves no object when it is aborted in the middle of one", async ({ store, codecs }) => {
  const stop = new AbortController();
  const reason = new Error("stop");
  const from = source({
    members: [{ name: "base/big", content: bytes(20 * MiB, 5) }],
    onEvent: (sent) => sent > 9 * MiB && stop.abort(reason),
  });
  await assert.rejects(
    takeBackup({ store, codecs }, from, { signal: stop.signal }),
    (error) => error === reason,
  );
  assert.equal(from.open, 0);
  assert.deepEqual(await Array.fromAsync(store.list("")), []);
});

test("restorePhysical() refuses damaged, cut and missing objects, by name, and leaves no pg_control", async ({ folder, ...rig }) => {
  const { store } = rig;
  const backup = await takeBackup(rig, source({ members: [...FILES] }));
  for (const { key } of backup.objects) {
    const whole = await readStored(store, key);
    const faults: [string, () => Promise<unknown>][] = [
      ["flipped", () => store.put(BACKUP_FOLDER + key, flipped(whole, whole.length >> 1))],
      ["first byte", () => store.put(BACKUP_FOLDER + key, flipped(whole, 0))],
      ["last byte", () => store.put(BACKUP_FOLDER + key, flipped(whole, whole.length - 1))],
      ["cut", () => store.put(BACKUP_FOLDER + key, whole.slice(0, -1))],
      ["missing", () => store.delete([BACKUP_FOLDER + key])],
    ];
    for (const [fault, inflict] of faults) {
      await inflict();
      const destination = `${folder}/${fault}-${key.replace("/", "-")}`;
      await assert.rejects(
        restoreBackup(rig, backup, { destination }),
        (error) => error instanceof IntegrityError && error.message.includes(BACKUP_FOLDER + key),
        `${fault} ${key}`,
      );
      const begun = await Deno.stat(destination).then(() => true, () => false);
      assert.equal(begun, fault !== "cut" && fault !== "missing", `${fault} ${key}`);
      const tree = begun ? await fileTree(destination) : new Map<string, string>();
      assert.equal(tree.has("global/pg_control"), false, `${fault} ${key}`);
    }
    await store.put(BACKUP_FOLDER + key, whole);
  }
  await restoreBackup(rig, backup, { destination: `${folder}/sound` });
});

test("restorePhysical() says what it left behind", async ({ folder, ...rig }) => {
  const backup = await takeBackup(rig, source());
  const [key] = backup.objects.map((object) => BACKUP_FOLDER + object.key);
  const whole = await readStored(rig.store, backup.objects[0]?.key ?? "");
  await rig.store.put(key ?? "", flipped(whole, whole.length - 1));
  await assert.rejects(
    restoreBackup(rig, backup, { destination: `${folder}/new` }),
    (error) => error instanceof IntegrityError && error.message.includes(`${folder}/new holds`),
  );
});

test("restorePhysical() refuses an object without pg_control, backup_label or its end", async ({ folder, ...rig }) => {
  for (const missing of ["global/pg_control", "backup_label", "PG_VERSION"]) {
    const members = [...CORE_MEMBERS, CONTROL_MEMBER].filter(({ name }) => name !== missing);
    await refused(rig, { folder, members, error: new RegExp(missing) });
  }
});

const hostile: readonly { what: string; members: FakeMember[] }[] = [
  { what: "a path that climbs", members: [{ name: "../escaped", content: "!" }] },
  {
    what: "a path that climbs from below",
    members: [{ name: "base/../../escaped", content: "!" }],
  },
  { what: "an absolute path", members: [{ name: "/tmp/backupctl-escaped", content: "!" }] },
  { what: "a symbolic link", members: [{ name: "base/link", link: "/etc" }] },
  { what: "a hard link", members: [{ name: "base/link", link: "PG_VERSION", type: "link" }] },
  { what: "a device", members: [{ name: "base/null", type: "character-device" }] },
  { what: "a pipe", members: [{ name: "base/fifo", type: "fifo" }] },
  {
    what: "a file twice",
    members: [{ name: "base/1", content: "a" }, { name: "base/1", content: "b" }],
  },
  {
    what: "a file as a folder",
    members: [{ name: "base/1", content: "a" }, { name: "base/1/2", content: "b" }],
  },
  { what: "a folder as a file", members: [{ name: "base/1/" }, { name: "base/1", content: "b" }] },
  { what: "an unknown tablespace", members: [{ name: "pg_tblspc/99/x", content: "b" }] },
];
for (const { what, members } of hostile) {
  test(`restorePhysical() refuses a chunk with ${what}, and writes nothing elsewhere`, async ({ folder, ...rig }) => {
    await refused(rig, {
      folder,
      members: [...CORE_MEMBERS, ...members, CONTROL_MEMBER],
      error: /chunks\/0001/,
    });
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["new"]);
    assert.equal(
      [...Deno.readDirSync("/tmp")].some(({ name }) => name === "backupctl-escaped"),
      false,
    );
  });
}

test("restorePhysical() refuses whole objects that are not the ones of the manifest", async ({ folder, ...rig }) => {
  const backup = await takeBackup(rig, source());
  const changes = [{ sha256: "0".repeat(64) }, { rawBytes: 1024 ** 2 }];
  for (const role of ["chunk", "backup_manifest"]) {
    for (const change of changes) {
      const objects = backup.objects.map((object) =>
        object.role === role ? { ...object, ...change } : object
      );
      const destination = `${folder}/${role}-${Object.keys(change)}`;
      await assert.rejects(
        restoreBackup(rig, { ...backup, objects }, { destination }),
        IntegrityError,
      );
    }
  }
});

test("restorePhysical() refuses a chunk whose tar has no end", async ({ folder, ...rig }) => {
  const members = [...CORE_MEMBERS, CONTROL_MEMBER];
  for (const cut of [512, 1024]) {
    await refused(rig, { folder: `${folder}`, members, cut, error: /no end/ });
  }
});

test("restorePhysical() never writes beyond the declared bytes", async ({ folder, ...rig }) => {
  const backup = await takeBackup(rig, source({ members: [...FILES] }));
  const objects = backup.objects.map((object) => ({ ...object, rawBytes: object.rawBytes - 1024 }));
  await assert.rejects(
    restoreBackup(rig, { ...backup, objects }, { destination: `${folder}/new` }),
    /more than its/,
  );
});

test("restorePhysical() takes only empty or absent folders in an existing one", async ({ folder, ...rig }) => {
  const backup = await takeBackup(rig, source());
  const attempt = (destination: string) => restoreBackup(rig, backup, { destination });
  await Deno.mkdir(`${folder}/full`);
  await Deno.writeTextFile(`${folder}/full/mine`, "precious");
  await Deno.symlink(`${folder}/nowhere`, `${folder}/dangling`);
  const cases: [string, RegExp][] = [
    [`${folder}/full`, /is not empty: it holds mine/],
    [`${folder}/full/mine`, /not a folder/],
    [`${folder}/absent/deeper`, /absent, the folder for .*, does not exist/],
    [`${folder}/dangling`, /leads nowhere/],
  ];
  for (const [destination, message] of cases) {
    await assert.rejects(
      attempt(destination),
      (error) => error instanceof DestinationError && message.test(error.message),
      destination,
    );
  }
  await Deno.writeTextFile(`${folder}/full/postmaster.pid`, `${Deno.pid}\n`);
  await assert.rejects(attempt(`${folder}/full`), new RegExp(`process ${Deno.pid}\\) is running`));
  assert.equal(await Deno.readTextFile(`${folder}/full/mine`), "precious");
  await Deno.mkdir(`${folder}/empty`, { mode: 0o755 });
  await attempt(`${folder}/empty`);
  assert.equal((await Deno.stat(`${folder}/empty`)).mode! & 0o777, 0o700);
});

test("restorePhysical() gives root's files to the owner of the destination, folders included", async ({ folder, ...rig }) => {
  if (Deno.uid() !== 0) return console.error("NOTE: not root: ownership is not tested");
  await Deno.chmod(folder, 0o755);
  const archives = [
    tablespace(16384, `${folder}/deep/er/ts`, [{ name: "PG_15_202209061/5/1", content: "x" }]),
  ];
  const data = { members: [...CORE_MEMBERS, ...FILES, CONTROL_MEMBER] };
  const backup = await takeBackup(rig, new FakeSource({ archives: [data, ...archives] }));
  await Deno.mkdir(`${folder}/new`);
  await Deno.chown(`${folder}/new`, 4321, 8765);
  await restoreBackup(rig, backup, { destination: `${folder}/new` });
  for (const root of [`${folder}/new`, `${folder}/deep/er/ts`]) {
    for (const path of ["", ...(await fileTree(root)).keys()]) {
      const { uid, gid, isSymlink } = await Deno.lstat(`${root}/${path}`);
      if (!isSymlink) assert.deepEqual([uid, gid], [4321, 8765], `${root}/${path}`);
    }
  }
  assert.equal((await Deno.stat(`${folder}/deep`)).uid, 4321);
  await Deno.mkdir(`${folder}/again`);
  await Deno.chown(`${folder}/again`, 4321, 8765);
  const gone = () => Promise.reject(new StorageError("the network is gone"));
  await assert.rejects(
    restoreBackup({ ...rig, store: overriding(rig.store, { get: gone }) }, backup, {
      destination: `${folder}/again`,
      tablespaceMap: new Map([[`${folder}/deep/er/ts`, `${folder}/ts-again`]]),
    }),
    (error) => error instanceof StorageError && /again holds|hold an unf/.test(error.message),
  );
  assert.equal((await Deno.stat(`${folder}/again`)).uid, 4321);
});

test("restorePhysical() leaves a cluster alone that appears in the destination meanwhile", async ({ folder, ...rig }) => {
  const backup = await takeBackup(rig, source());
  const control = `${folder}/new/global/pg_control`;
  const store = overriding(rig.store, {
    head: async (key) => {
      await Deno.mkdir(`${folder}/new/global`, { recursive: true });
      await Deno.writeTextFile(control, "somebody else's");
      return await rig.store.head(key);
    },
  });
  await assert.rejects(
    restoreBackup({ ...rig, store }, backup, { destination: `${folder}/new` }),
    (error) => error instanceof DestinationError && /is not empty/.test(error.message),
  );
  assert.equal(await Deno.readTextFile(control), "somebody else's");
});

test("restorePhysical() refuses tablespaces that lie in use, twice or within each other", async ({ folder, ...rig }) => {
  const [one, two] = [`${folder}/one`, `${folder}/two`];
  const data = { members: [...CORE_MEMBERS, CONTROL_MEMBER] };
  const archives = [tablespace(16384, one, []), tablespace(16390, two, []), data];
  const backup = await takeBackup(rig, new FakeSource({ archives }));
  await Deno.mkdir(one);
  await Deno.writeTextFile(`${one}/PG_VERSION`, "");
  const cases: [Record<string, string>, RegExp][] = [
    [{}, /tablespace 16384: .*one is not empty/],
    [{ [one]: two }, /two is used twice/],
    [{ [one]: `${folder}/new/x` }, /lies within/],
    [{ [one]: `${two}/x` }, /lies within/],
  ];
  for (const [map, message] of cases) {
    const options = { destination: `${folder}/new`, tablespaceMap: new Map(Object.entries(map)) };
    await assert.rejects(
      restoreBackup(rig, backup, options),
      (error) => error instanceof DestinationError && message.test(error.message),
      JSON.stringify(map),
    );
  }
  await assert.rejects(Deno.stat(`${folder}/new`), Deno.errors.NotFound);
});

test("restorePhysical() asks for room before the first byte", async ({ folder, ...rig }) => {
  const backup = await takeBackup(rig, source());
  const huge = { ...backup, rawBytes: Number.MAX_SAFE_INTEGER };
  await assert.rejects(
    restoreBackup(rig, huge, { destination: `${folder}/new` }),
    (error) => error instanceof DestinationError && /free, the backup needs/.test(error.message),
  );
  await assert.rejects(Deno.stat(`${folder}/new`), Deno.errors.NotFound);
});

test("restorePhysical() ends when the signal says so, though the store is silent", async ({ folder, ...rig }) => {
  const backup = await takeBackup(rig, source());
  const stop = new AbortController();
  const reason = new Error("stop");
  const store = overriding(rig.store, {
    get: () => {
      queueMicrotask(() => stop.abort(reason));
      return Promise.resolve(new ReadableStream<Bytes>());
    },
  });
  await assert.rejects(
    restoreBackup({ ...rig, store }, backup, { destination: `${folder}/new`, signal: stop.signal }),
    (error) => error === reason,
  );
});

test("restorePhysical() ends when the signal says so, without pg_control", async ({ folder, ...rig }) => {
  const backup = await takeBackup(rig, source({ members: [...FILES] }));
  const stop = new AbortController();
  const reason = new Error("stop");
  const store = whenRead(rig.store, () => stop.abort(reason));
  await assert.rejects(
    restoreBackup({ ...rig, store }, backup, {
      destination: `${folder}/new`,
      signal: stop.signal,
    }),
    (error) => error === reason,
  );
  const tree = await fileTree(`${folder}/new`);
  assert.equal(tree.has("global/pg_control"), false);
});

/** Stores a chunk that no backup made, with lengths and hashes that fit, and expects a refusal. */
async function refused(
  rig: Rig,
  { folder, members, error, cut = 0 }: {
    readonly folder: string;
    /** Bytes that are missing at the end of the tar. */
    readonly cut?: number;
    readonly members: readonly FakeMember[];
    readonly error: RegExp;
  },
): Promise<void> {
  const backup = await takeBackup(rig, source());
  const whole = await hostileTar(members);
  const tar = whole.slice(0, whole.length - cut);
  const codec = rig.codecs.codec(backup.codec);
  const stored = await new Response(new Blob([tar]).stream().pipeThrough(codec.encode())).bytes();
  await rig.store.put(`${BACKUP_FOLDER}chunks/0001.tar.zst`, stored);
  const objects = backup.objects.map((object) =>
    object.role !== "chunk"
      ? object
      : { ...object, storedBytes: stored.length, rawBytes: tar.length }
  );
  const sha256 = await sha256Of(stored);
  const forged = objects.map((object) => object.role === "chunk" ? { ...object, sha256 } : object);
  await assert.rejects(
    restoreBackup(rig, { ...backup, objects: forged }, { destination: `${folder}/new` }),
    (reason) => reason instanceof IntegrityError && error.test(reason.message),
  );
  const control = await Deno.stat(`${folder}/new/global/pg_control`).catch(() => undefined);
  assert.equal(control, undefined);
  await Deno.remove(`${folder}/new`, { recursive: true });
  await Deno.mkdir(`${folder}/new`);
}

async function hostileTar(members: readonly FakeMember[]): Promise<Bytes> {
  const tar = await packTar(members.map(({ name, content, link, type }) => ({
    header: {
      name,
      type: type ?? (link ? "symlink" : name.endsWith("/") ? "directory" : "file"),
      size: content === undefined ? 0 : length(content),
      ...(link !== undefined && { linkname: link }),
    },
    ...(content !== undefined && { body: content }),
  })));
  return new Uint8Array(tar);
}

function tablespace(oid: number, location: string, members: FakeMember[]): FakeArchive {
  return { tablespace: { oid, location }, members: [{ name: "PG_15_202209061/" }, ...members] };
}

/** A store whose disk is full after so many bytes of an object. */
function failingAfter(store: ObjectStore, allowed: number): ObjectStore {
  return overriding(store, {
    async put(key, body, options) {
      let count = 0;
      const full = new StorageError("the disk is full");
      if (allowed === 0) throw full;
      if (body instanceof Uint8Array) return await store.put(key, body, options);
      for await (const chunk of body) {
        count += chunk.length;
        if (count > allowed) throw full;
      }
      return { key, size: count };
    },
  });
}

function whenRead(store: ObjectStore, act: () => void): ObjectStore {
  return overriding(store, {
    async get(key, options) {
      const stream = await store.get(key, options);
      act();
      return stream;
    },
  });
}

function overriding(store: ObjectStore, changes: Partial<ObjectStore>): ObjectStore {
  return new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(changes, name) ?? Reflect.get(target, name);
      return typeof value === "function" && !(name in changes) ? value.bind(target) : value;
    },
  });
}

async function readStored(store: ObjectStore, key: string): Promise<Bytes> {
  return await new Response(await store.get(BACKUP_FOLDER + key)).bytes();
}

async function sha256Of(bytes: Bytes): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

function flipped(whole: Bytes, index: number): Bytes {
  const copy = whole.slice();
  copy[index] = (copy[index] ?? 0) ^ 4;
  return copy;
}

function length(content: Bytes | string): number {
  return asBytes(content).length;
}

function asBytes(content: Bytes | string): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

/** Bytes that hardly compress, the same for the same seed. */
function bytes(size: number, seed: number): Bytes {
  const filled = new Uint8Array(size);
  let state = seed;
  for (let index = 0; index < size; index++) {
    state = (Math.imul(state, 1103515245) + 12345) | 0;
    filled[index] = state >>> 16;
  }
  return filled;
}
