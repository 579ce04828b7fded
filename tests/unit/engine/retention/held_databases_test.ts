/** What manifests tell of their databases, with a key and without one, and what is kept by it. */
import assert from "node:assert/strict";
import { parseManifest } from "../../../../src/catalog/parse_manifest.ts";
import { withOpenedPart, withSealedPart } from "../../../../src/catalog/private_part.ts";
import { stableJson } from "../../../../src/catalog/stable_json.ts";
import {
  generateIdentity,
  KeyRing,
  newDataKey,
  ObjectOpener,
  ObjectSealer,
} from "../../../../src/crypto/crypto.ts";
import { RunFailedError } from "../../../../src/domain/errors.ts";
import { heldDatabases } from "../../../../src/engine/retention/held_databases.ts";
import { removeBackup } from "../../../../src/engine/retention/remove_backup.ts";
import { MemoryStore } from "../../../../src/storage/memory.ts";
import { sampleManifest } from "../../../support/manifests.ts";
import { HistoryWorld } from "../../../support/retention/history_world.ts";
import { pruneParts, realId, storeWorld } from "../../../support/retention/stored_world.ts";

const databases = ["shop", "app"].map((name) => ({ name, sizeBytes: null }));

Deno.test("heldDatabases() takes a manifest that does not say so for no backup of all", () => {
  const names = ["app", "shop"];
  assert.deepEqual(heldDatabases(sampleManifest({ databases })), { all: false, names });
  for (const allDatabases of [true, false]) {
    const manifest = sampleManifest({ databases, allDatabases });
    const read = parseManifest(stableJson(manifest), { where: "backup.json" });
    assert.deepEqual(heldDatabases(read), { all: allDatabases, names });
  }
});

Deno.test("heldDatabases() knows without an identity only whether it is of all", async () => {
  const { identity, recipient } = await generateIdentity();
  const dataKey = await newDataKey([recipient]);
  const sealer = new ObjectSealer(() => Promise.resolve(dataKey));
  const opener = new ObjectOpener(new KeyRing({ identities: () => Promise.resolve([identity]) }));
  const key = "main/7345678901234567890/backups/20261123T022415Z-L/backup.json";
  const encryption = { scheme: "backupctl.seal/1" } as const;
  for (const allDatabases of [true, false]) {
    const manifest = sampleManifest({ databases, allDatabases, encryption });
    const stored = await withSealedPart(manifest, { key, sealer });
    const read = parseManifest(stableJson(stored), { where: key });
    assert.deepEqual(heldDatabases(read), { all: allDatabases, names: null });
    const opened = await withOpenedPart(read, { key, opener });
    assert.deepEqual(heldDatabases(opened), { all: allDatabases, names: ["app", "shop"] });
  }
});

Deno.test("removeBackup() refuses the newest that holds a database, and not one of others", async () => {
  const world = new HistoryWorld();
  const shop = { all: false, names: ["shop"] };
  const choices = [{ all: true, names: ["app", "old"] }, shop, shop, { all: false, names: null }];
  for (const databases of choices) world.play({ what: "logical", databases });
  const store = new MemoryStore();
  await storeWorld(world, store, "main");
  const parts = pruneParts(store, { cluster: "main" });
  const [whole, older, newer, sealed] = world.current.backups.map(realId);
  const remove = (id: string | undefined) => removeBackup(parts, { id: id! });
  const refused: readonly (readonly [id: string | undefined, message: RegExp])[] = [
    [whole, /is the newest logical one$/],
    [newer, /is the newest logical one that holds all of its databases$/],
    [sealed, /is the newest logical one that is known to hold its databases, .* are sealed$/],
  ];
  for (const [id, message] of refused) {
    await assert.rejects(remove(id), (error) => {
      assert.ok(error instanceof RunFailedError);
      assert.match(error.message, message);
      return true;
    });
  }
  await remove(older);
  const left = (await parts.repository.backups()).map(({ id }) => id);
  assert.deepEqual(left.sort(), [whole, newer, sealed].sort());
});
