import assert from "node:assert/strict";
import { MiB } from "../../../../src/domain/bytes.ts";
import {
  ObjectExistsError,
  PostgresError,
  RunFailedError,
  StorageError,
} from "../../../../src/domain/errors.ts";
import {
  bytes,
  failingAfter,
  FILES,
  overriding,
  physicalTest,
  readObject,
  sha256Of,
  source,
} from "../../../support/physical_world.ts";
import {
  CONTROL_MEMBER,
  CORE_MEMBERS,
  type FakeBackupOptions,
  type FakeMember,
  manifestOf,
} from "../../../support/fake_base_backup.ts";
import { restoreBackup, takeBackup } from "../../../support/physical_backups.ts";
import { fileTree } from "../../../support/file_tree.ts";

physicalTest(
  "takePhysicalBackup() leaves out what belongs to the running server",
  async ({ folder, ...rig }) => {
    const members = ["postmaster.pid", "postmaster.opts", "standby.signal", "recovery.signal"]
      .map((name) => ({ name, content: "1\n" }));
    const kept = { name: "backup_label.old", content: "listed in PostgreSQL's manifest" };
    const backup = await takeBackup(rig, source({ members: [...members, kept] }));
    await restoreBackup(rig, backup, { destination: `${folder}/new` });
    const tree = await fileTree(`${folder}/new`);
    for (const { name } of members) assert.equal(tree.has(name), false, name);
    assert.equal(tree.has(kept.name), true);
  },
);

physicalTest("takePhysicalBackup() counts what the store holds", async ({ store, codecs }) => {
  const backup = await takeBackup({ store, codecs }, source({ members: [...FILES] }));
  const keys = backup.objects.map(({ key }) => key).sort();
  assert.deepEqual(keys, ["backup_manifest.zst", "chunks/0001.tar.zst"]);
  for (const { key, storedBytes, sha256 } of backup.objects) {
    const stored = await readObject(store, key);
    assert.equal(stored.length, storedBytes);
    assert.equal(await sha256Of(stored), sha256);
  }
});

physicalTest("takePhysicalBackup() replaces no object of another run", async (world) => {
  await takeBackup(world, source());
  const before = await readObject(world.store, "chunks/0001.tar.zst");
  await assert.rejects(
    takeBackup(world, source({ members: [...FILES] })),
    (error) => error instanceof ObjectExistsError,
  );
  assert.deepEqual(await readObject(world.store, "chunks/0001.tar.zst"), before);
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
  physicalTest(`takePhysicalBackup() refuses a server that sends ${what}`, async (world) => {
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

physicalTest(
  "takePhysicalBackup() refuses when files are not those of PostgreSQL's manifest",
  async (world) => {
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
        (error) =>
          error instanceof RunFailedError && /in PostgreSQL's manifest/.test(error.message),
      );
    }
    const wal = { name: "pg_wal/archive_status/0001.done", content: "" };
    await takeBackup(world, source({ members: [...FILES], manifest: listed([...sent, wal]) }));
  },
);

physicalTest("takePhysicalBackup() refuses a server that was promoted meanwhile", async (world) => {
  await assert.rejects(takeBackup(world, source({ stopTimeline: 2 })), RunFailedError);
});

physicalTest(
  "takePhysicalBackup() passes on the store's failure, at the beginning and in the middle",
  async ({ store, codecs }) => {
    const members = [{ name: "base/big", content: bytes(20 * MiB, 5) }];
    for (const allowed of [0, 3 * MiB]) {
      const from = source({ members });
      await assert.rejects(
        takeBackup({ store: failingAfter(store, allowed), codecs }, from),
        (error) => error instanceof StorageError && /disk is full/.test(error.message),
      );
      assert.equal(from.open, 0);
    }
  },
);

physicalTest(
  "takePhysicalBackup() notices a store that gives up without a word to the stream",
  async ({ store, codecs }) => {
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
  },
);

physicalTest(
  "takePhysicalBackup() refuses a store that holds another length than was sent",
  async ({ store, codecs }) => {
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
  },
);

physicalTest(
  "takePhysicalBackup() has no upload under way when it fails, and stores no part of one",
  async ({ store, codecs }) => {
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
    await assert.rejects(
      takeBackup({ store: counting, codecs }, from),
      (error) => error === reason,
    );
    assert.equal(running, 0);
    assert.deepEqual(await Array.fromAsync(store.list("")), []);
  },
);

physicalTest(
  "takePhysicalBackup() leaves no object when it is aborted in the middle of one",
  async ({ store, codecs }) => {
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
  },
);
