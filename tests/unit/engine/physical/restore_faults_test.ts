import assert from "node:assert/strict";
import type { Bytes } from "../../../../src/domain/bytes.ts";
import {
  BackupctlError,
  IntegrityError,
  InterruptedError,
  RunFailedError,
} from "../../../../src/domain/errors.ts";
import {
  FILES,
  flipped,
  overriding,
  physicalTest,
  readObject,
  source,
  whenRead,
} from "../../../support/physical_world.ts";
import { BACKUP_FOLDER, restoreBackup, takeBackup } from "../../../support/physical_backups.ts";
import { fileTree } from "../../../support/file_tree.ts";

physicalTest(
  "restorePhysical() refuses damaged, cut and missing objects, by name, and leaves no pg_control",
  async ({ folder, ...rig }) => {
    const { store } = rig;
    const backup = await takeBackup(rig, source({ members: [...FILES] }));
    for (const { key } of backup.objects) {
      const whole = await readObject(store, key);
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
  },
);

physicalTest("restorePhysical() says what it left behind", async ({ folder, ...rig }) => {
  const backup = await takeBackup(rig, source());
  const [key] = backup.objects.map((object) => BACKUP_FOLDER + object.key);
  const whole = await readObject(rig.store, backup.objects[0]?.key ?? "");
  await rig.store.put(key ?? "", flipped(whole, whole.length - 1));
  await assert.rejects(
    restoreBackup(rig, backup, { destination: `${folder}/new` }),
    (error) => error instanceof IntegrityError && error.message.includes(`${folder}/new holds`),
  );
});

physicalTest(
  "restorePhysical() refuses whole objects that are not the ones of the manifest",
  async ({ folder, ...rig }) => {
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
  },
);

physicalTest(
  "restorePhysical() never writes beyond the declared bytes",
  async ({ folder, ...rig }) => {
    const backup = await takeBackup(rig, source({ members: [...FILES] }));
    const objects = backup.objects.map((object) => ({
      ...object,
      rawBytes: object.rawBytes - 1024,
    }));
    await assert.rejects(
      restoreBackup(rig, { ...backup, objects }, { destination: `${folder}/new` }),
      /more than its/,
    );
  },
);

physicalTest(
  "restorePhysical() ends when the signal says so, though the store is silent",
  async ({ folder, ...rig }) => {
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
      restoreBackup({ ...rig, store }, backup, {
        destination: `${folder}/new`,
        signal: stop.signal,
      }),
      (error) => error === reason,
    );
  },
);

physicalTest(
  "restorePhysical() ends when the signal says so, without pg_control",
  async ({ folder, ...rig }) => {
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
  },
);

physicalTest(
  "restorePhysical() does not claim that an interrupted restore left nothing",
  async ({ folder, ...rig }) => {
    const backup = await takeBackup(rig, source({ members: [...FILES] }));
    const reasons = [new InterruptedError("SIGINT"), new RunFailedError("time", "with more time")];
    for (const [index, reason] of reasons.entries()) {
      const stop = new AbortController();
      const store = whenRead(rig.store, () => stop.abort(reason));
      const destination = `${folder}/${index}`;
      await assert.rejects(
        restoreBackup({ ...rig, store }, backup, { destination, signal: stop.signal }),
        (error) => {
          assert.ok(error instanceof BackupctlError);
          assert.equal(error.code, reason.code);
          assert.equal(error.message, reason.message);
          assert.equal(error.cause, reason);
          assert.equal(
            error.hint,
            `${destination} holds an unfinished restore: remove it before the next try, or go on with --delta`,
          );
          return true;
        },
      );
    }
  },
);
