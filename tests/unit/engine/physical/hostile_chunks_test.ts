import assert from "node:assert/strict";
import { MemoryStore } from "../../../../src/storage/memory.ts";
import { packTar } from "modern-tar";
import type { Bytes } from "../../../../src/domain/bytes.ts";
import { IntegrityError } from "../../../../src/domain/errors.ts";
import { length, physicalTest, sha256Of, source } from "../../../support/physical_world.ts";
import {
  CONTROL_MEMBER,
  CORE_MEMBERS,
  type FakeMember,
} from "../../../support/fake_base_backup.ts";
import {
  BACKUP_FOLDER,
  restoreBackup,
  type Rig,
  takeBackup,
} from "../../../support/physical_backups.ts";

physicalTest(
  "restorePhysical() refuses an object without pg_control, backup_label or its end",
  async ({ folder, ...rig }) => {
    for (const missing of ["global/pg_control", "backup_label", "PG_VERSION"]) {
      const members = [...CORE_MEMBERS, CONTROL_MEMBER].filter(({ name }) => name !== missing);
      const store = new MemoryStore();
      await refused({ ...rig, store }, { folder, members, error: new RegExp(missing) });
    }
  },
);

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
  physicalTest(
    `restorePhysical() refuses a chunk with ${what}, and writes nothing elsewhere`,
    async ({ folder, ...rig }) => {
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
    },
  );
}

physicalTest(
  "restorePhysical() refuses a chunk whose tar has no end",
  async ({ folder, ...rig }) => {
    const members = [...CORE_MEMBERS, CONTROL_MEMBER];
    for (const cut of [512, 1024]) {
      const store = new MemoryStore();
      await refused({ ...rig, store }, { folder, members, cut, error: /no end/ });
    }
  },
);

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
